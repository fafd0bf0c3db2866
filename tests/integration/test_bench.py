"""The measurements themselves: what they count, in a second or two, without looking at how fast it was."""

from bench.collector import USUAL
from bench.feed import BURST_FRAMES, run
from bench.load import PRINTS
from bench.results import Line, Stage, write_page


def test_a_burst_is_counted_frame_by_frame() -> None:
    burst = run("collector", "full", USUAL, frames_a_second=BURST_FRAMES // 10, seconds=1.0)
    assert burst.sent.frames == burst.collected.frames == BURST_FRAMES // 10
    assert burst.missing == 0
    median, most, worst = burst.collected.durable_ms
    assert 0 < median <= most <= worst
    assert burst.collected.stored_ms[0] >= median


def test_the_socket_alone_records_nothing() -> None:
    deaf = run("collector", "socket", USUAL, frames_a_second=100, seconds=0.2)
    assert deaf.collected.frames == deaf.sent.frames == 20
    assert deaf.collected.durable_ms == []


def test_the_peer_is_told_the_same_and_keeps_it() -> None:
    peer = run("loop", frames_a_second=250, seconds=0.4)
    assert peer.collected.frames * PRINTS == 600
    assert peer.missing == 0


def test_a_page_names_machine_bar_and_what_was_not_held() -> None:
    page = write_page([Stage("feed", "a loop", "how", [Line("lost", "3", "0", "", "0", is_held=False), Line("speed", "9", "3", "3.0")])])
    assert "| lost | 3 | 0 |  | 0 | NO |" in page
    assert "| speed | 9 | 3 | 3.0 |  |  |" in page
    assert "Python 3." in page

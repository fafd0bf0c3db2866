"""The nouns that the stages share. They meet here and through data, never by importing each other."""

"""Several stages together, through the command line where there is one."""

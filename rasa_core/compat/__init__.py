"""What is here for the sake of programs that were written for other versions alone."""

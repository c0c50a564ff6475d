"""A teacher at the terminal."""

from __future__ import annotations

from rasa_core.teaching.questions import TeachingEnded


class Terminal:
    """Asks on the terminal; the end of the input and Ctrl+C are the end of teaching."""

    def show(self, text: str) -> None:
        """Print a text."""
        print(text, flush=True)

    def ask(self, question: str) -> str:
        """Return the line that is typed; raise `TeachingEnded` if there is none."""
        try:
            return input(question)
        except (EOFError, KeyboardInterrupt):
            print(flush=True)
            raise TeachingEnded from None

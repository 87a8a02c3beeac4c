"""The readers' small slides, for the tests of archives."""

from tests.server.slides.conftest import kit

__all__ = ["kit"]

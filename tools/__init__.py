"""Scripts for developers; not a part of the wheel."""

"""Renders the sounds of the demo library, which the package ships as Ogg files."""

"""Scripts that render the clips of the demo library; the package ships the rendered clips."""

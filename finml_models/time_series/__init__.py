"""Time series: networks that read a window of a series."""

"""Transfer to a real camera from few pairs, or from a burst."""

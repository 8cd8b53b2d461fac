"""The local web page: one photo at a time, denoised as the command line does it."""

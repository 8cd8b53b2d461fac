"""The field's benchmarks: metrics, data sets in their published formats, comparison methods,
reports.
"""

"""One self-contained HTML page of a fit, with a live lambda slider."""

"""A fit as one self-contained HTML page with a live lambda slider."""

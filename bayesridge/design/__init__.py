"""Rows, where they are and added up; levels; and the design that is made of them."""

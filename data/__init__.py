"""The example tables that `bayesridge.datasets` reads, and the scripts that wrote them."""

"""Every statement about articles, one file for each thing that is kept of them."""

from prodsys.articles.store import feed, finding, keeping, mappings, offers, prices, suggesting, supplier_numbers

__all__ = ["feed", "finding", "keeping", "mappings", "offers", "prices", "suggesting", "supplier_numbers"]

"""The doors of Articles, one file for each thing they are about."""

from prodsys.articles.api import catalogue, keeping, mappings, numbers, prices

routes = [*catalogue.routes, *keeping.routes, *numbers.routes, *prices.routes, *mappings.routes]

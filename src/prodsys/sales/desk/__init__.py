"""The doors of our own order desk, one file for each thing they are about."""

from prodsys.sales.desk import answers, despatches, drafts

routes = [*drafts.routes, *answers.routes, *despatches.routes]

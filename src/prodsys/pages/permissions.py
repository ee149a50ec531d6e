"""What each permission lets its bearer do, and what each role is called, in words."""

from prodsys.pages.words import N_
from prodsys.scopes import Role, Scope

MEANINGS: dict[Scope, str] = {
    Scope.PURCHASE_ORDERS_CREATE: N_("Send purchase orders, which land as drafts, and read the answers"),
    Scope.ARTICLES_READ: N_("Read the articles you offer this partner"),
    Scope.CONTACTS_READ_WRITE: N_("Read your company card and their own record, and propose changes to it"),
    Scope.CONTACTS_READ: N_("Read your company card and their own record"),
    Scope.CONTACTS_WRITE: N_("Propose changes to their own record"),
    Scope.PURCHASE_ORDERS_READ: N_("Read our purchase orders and exports"),
    Scope.PURCHASE_ORDERS_WRITE: N_("Write and change our purchase orders"),
    Scope.PURCHASE_ORDERS_EXPORT: N_("Send our purchase orders to partners"),
    Scope.SALES_ORDERS_READ: N_("Read order drafts and sales orders"),
    Scope.SALES_ORDERS_APPROVE: N_("Approve, change and reject order drafts"),
    Scope.ARTICLES_WRITE: N_("Change articles and prices"),
    Scope.ARTICLES_READ_WRITE: N_("Read and change articles and prices"),
    Scope.COMPANY_WRITE: N_("Change our company card"),
    Scope.PARTNERS_READ: N_("Read partners and their rules"),
    Scope.PARTNERS_WRITE: N_("Connect partners and change their rules"),
    Scope.CONNECTIONS_READ: N_("Read ERP connections, flows and their runs"),
    Scope.CONNECTIONS_WRITE: N_("Connect ERP systems and set up flows"),
    Scope.TOKENS_READ: N_("Read the list of tokens"),
    Scope.TOKENS_WRITE: N_("Create, rotate and revoke tokens"),
    Scope.USERS_READ: N_("Read users and groups"),
    Scope.USERS_WRITE: N_("Change users and groups"),
    Scope.MODULES_READ: N_("See which extensions are on"),
    Scope.MODULES_WRITE: N_("Switch extensions on and off"),
    Scope.LOGS_READ: N_("Read the integration logs"),
    Scope.DELIVERIES_WRITE: N_("Send again what was not delivered"),
    Scope.ALERTS_READ: N_("Read what is wrong"),
    Scope.ALERTS_WRITE: N_("Dismiss what is wrong, and send test mails"),
    Scope.SETTINGS_READ: N_("Read the settings"),
    Scope.METRICS_READ: N_("Read the counters for Prometheus"),
}
"""What a permission lets its bearer do."""

ROLES: dict[Role, str] = {"admin": N_("Administrator"), "buyer": N_("Buyer"), "seller": N_("Seller"), "viewer": N_("Viewer")}
ROLE_MEANINGS: dict[Role, str] = {
    "admin": N_("may do everything"),
    "buyer": N_("orders, exports and follows up; articles and contacts"),
    "seller": N_("answers order drafts and sends goods; articles and contacts"),
    "viewer": N_("reads orders, drafts, partners and logs; changes nothing"),
}

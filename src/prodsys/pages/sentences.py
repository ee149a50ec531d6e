"""What a page says after something was done, by the code word in its address, so that no address can put words into a page."""

from prodsys.pages.words import N_

SENTENCES = {
    "saved": N_("Saved."),
    "signed_out": N_("You are signed out."),
    "module_on": N_("Switched on."),
    "module_off": N_("Switched off."),
    "link_mailed": N_("The link is on its way by e-mail."),
    "link_shown_before": N_("The link was made and shown before. It is not shown a second time; if it was lost, make another."),
    "group_deleted": N_("The group is deleted."),
    "password_changed": N_("Your password is changed. You are signed in here only."),
    "session_ended": N_("Signed out there."),
    "token_revoked": N_("The token is revoked. It works no more."),
    "token_shown_before": N_("The token was made and shown before. It is not shown a second time; if you lost it, rotate it."),
    "contact_blocked": N_("Orders of this company are refused from now on."),
    "contact_unblocked": N_("Orders of this company are taken again."),
    "contacts_merged": N_("Merged. Everything points here now."),
    "proposal_accepted": N_("Accepted. The card is as they proposed."),
    "proposal_declined": N_("Ours was kept."),
    "nothing_selected": N_("Nothing was selected. Tick the orders to export, then export them."),
    "price_dropped": N_("Taken back. Orders from now on are compared with the list price."),
    "mapping_undone": N_("Undone. Orders that arrive from now on are matched without it."),
    "pulling": N_("The catalogue is being read."),
    "number_set": N_("Kept."),
    "ended": N_("Your sign-in has ended. Nothing was saved since; sign in again."),
}

"""What a page says after something was done, by the code word in its address, so that no address can put words into a page."""

from prodsys.pages.words import N_

SENTENCES = {
    "saved": N_("Saved."),
    "signed_out": N_("You are signed out."),
    "module_on": N_("Switched on."),
    "module_off": N_("Switched off."),
    "ended": N_("Your sign-in has ended. Nothing was saved since; sign in again."),
}

"""Every refusal and every remark in the reader's own language, found by its code and filled with its values."""

import contextlib

from prodsys import errors
from prodsys.documents import Issue
from prodsys.pages.speech import Speech


def N_(message: str) -> str:  # noqa: N802  gettext's own name for a text that is translated later
    """Mark a text for the catalogues; it is said where it is written."""
    return message


REFUSALS: dict[str, str] = {
    "refused": N_("This cannot be done."),
    "not_json": N_("What was sent cannot be read."),
    "token_missing": N_("A token is needed here."),
    "token_unknown": N_("This token is not known there. Ask the company that issued it for a new one."),
    "token_expired": N_("This token has expired. Ask the company that issued it to rotate it."),
    "token_revoked": N_("This token has been revoked by the company that issued it."),
    "sign_in_needed": N_("Sign in to see this page."),
    "sign_in_failed": N_("E-mail or password is wrong."),
    "signature_invalid": N_("The message is not signed as was agreed, or it is too old."),
    "address_not_allowed": N_("The token may not be used from this address. Ask the company that issued it."),
    "foreign_form": N_("This form was not written by this page, or your sign-in has changed since. Nothing was done; open the page again."),
    "insufficient_scope": N_("Your groups do not allow you to do this. Ask an administrator."),
    "module_off": N_("The extension this needs is switched off."),
    "partner_inactive": N_("This partner is switched off at the moment."),
    "scope_not_yours": N_("Nobody can give what he may not do himself."),
    "rotation_not_allowed": N_("This company renews its partners' tokens itself. Ask it to rotate yours."),
    "not_found": N_("There is nothing here that you may see."),
    "method_not_allowed": N_("This page is not asked that way."),
    "order_conflict": N_("This order number and revision arrived before with other content. Send a changed order as the next revision."),
    "revision_superseded": N_("A higher revision of this order has already arrived. This older one is too late."),
    "answer_superseded": N_("The supplier has given a newer answer meanwhile. Read it before you accept or dispute."),
    "wrong_state": N_("This does not fit the state it is in now. Look at it as it is and decide again."),
    "last_admin": N_("This is the last administrator who may sign in. Make somebody else an administrator first."),
    "already_done": N_("This was done before, and its secret was shown then."),
    "already_exists": N_("Something with this number or name exists already."),
    "similar_exists": N_("Something with nearly this name or number exists. Use it, or say that another one is meant."),
    "partner_not_ready": N_("Nothing can be sent to this partner yet."),
    "mail_not_ready": N_("E-mail cannot be sent from here until the operator has set it up."),
    "mail_not_taken": N_("The mail server did not take the mail."),
    "list_too_long": N_("This list has more than 100,000 rows. Narrow its filter, or take it as CSV."),
    "cursor_gone": N_("This list has begun anew. Start from its first page."),
    "stale": N_("Somebody else has changed this since you opened it. Nothing was saved; look at it as it is now and decide again."),
    "too_large": N_("This is larger than what can be taken here."),
    "unsupported_media_type": N_("This kind of file cannot be taken here."),
    "invalid": N_("Not everything can be taken as it was written."),
    "order_refused": N_("The order cannot be taken as it is. Nothing of it was stored but the log."),
    "claim_unknown": N_("The code in this bundle is not known, has been used, or is older than 7 days. Ask the supplier for a new bundle."),
    "code_unknown": N_("This code is not known, has been used, or is too old. Whoever gave it to you can make a new one."),
    "idempotency_key_reused": N_("This was sent before with other content."),
    "bad_file": N_("The file cannot be taken as it is. Nothing of it was stored."),
    "if_match_missing": N_("Open the page again before you change this."),
    "too_many_messages": N_("As much has been said about this order as is kept. Write to each other by e-mail."),
    "too_many_requests": N_("Too many tries. Wait a little and try again."),
    "internal": N_("This is a fault of ours. Nothing was saved; the log knows what happened."),
    "partner_unreachable": N_("The partner's system cannot be reached at the moment. Try again later."),
    "storage_unavailable": N_("The database cannot store anything at the moment. Nothing was saved; try again soon."),
}
"""What is true of a refusal, by its code."""

REMARKS: dict[str, str] = {
    # forms
    "number_unreadable": N_("%(text)s is not a number. Write it as %(example)s."),
    "number_not_whole": N_("%(text)s is not a whole number."),
    "date_unreadable": N_("%(text)s is not a date."),
    "member_missing": N_("This must be filled in."),
    "name_missing": N_("A name is needed."),
    "file_missing": N_("Choose a file first."),
    "email_invalid": N_("This is not an e-mail address."),
    "email_missing": N_("An e-mail address is needed."),
    "password_length": N_("A password has 12 to 1,000 characters."),
    "hidden_character": N_("The text holds the hidden character %(character)s. Write it without."),
    "control_character": N_("The text holds the control character %(character)s. Write it without."),
    "country_unknown": N_("%(country)s is no country code."),
    "currency_unknown": N_("%(currency)s is no currency code."),
    "organisation_number_invalid": N_("The organisation number %(number)s has wrong check digits or length."),
    "vat_number_invalid": N_("The VAT number %(number)s has wrong check digits or length."),
    "gln_invalid": N_("The GLN %(number)s has wrong check digits or length."),
    "reason_missing": N_("A reason is needed. The other company reads it."),
    "text_missing": N_("A message needs words."),
    "partner_unknown": N_("There is no such partner."),
    "partner_similar": N_("A partner of nearly this name exists already."),
    "user_unknown": N_("There is no such person."),
    "group_unknown": N_("There is no such group."),
    "expiry_out_of_range": N_("The end must lie between now and %(days)s days from now."),
    "network_unreadable": N_("%(text)s is no IP address and no network such as 192.0.2.0/24."),
    "hours_out_of_range": N_("Write a number of hours up to 2,160."),
    "networks_too_many": N_("At most %(most)s addresses and networks."),
    "scope_not_yours": N_("You may not do %(scope)s yourself, so you cannot give it."),
    "scope_not_for_partners": N_("%(scope)s is not for partners."),
    # an order before it leaves
    "already_on_its_way": N_("Order %(number)s is on its way already. Wait for its result."),
    "already_received": N_("The supplier has order %(number)s as it stands."),
    "cancelled": N_("Order %(number)s is cancelled. Write a new one instead."),
    "supplier_missing": N_("Order %(number)s names no supplier."),
    "company_card_missing": N_("Our own company card is empty. Fill it in under Admin, Company."),
    "partner_not_connected": N_("There is no connection to %(partner)s yet."),
    "token_expired": N_("The token %(partner)s gave us ended on %(date)s. Ask for a new bundle."),
    "token_expiring": N_("The token %(partner)s gave us ends on %(date)s."),
    "article_missing": N_("Line %(line)s has no article number of the supplier's."),
    "order_unknown": N_("There is no order %(order)s."),
    "order_empty": N_("An order needs at least one line."),
    # an order at the supplier
    "article_unknown": N_("No article has the number %(number)s."),
    "article_ambiguous": N_("Several articles may be meant by %(number)s."),
    "article_inactive": N_("Article %(number)s is no longer sold."),
    "gtin_mismatch": N_("The GTIN %(gtin)s belongs to another article than %(number)s."),
    "gtin_differs": N_("The GTIN %(gtin)s is not the one we have for %(number)s."),
    "unit_differs": N_("Line %(line)s is ordered in %(ordered)s and sold in %(sold)s."),
    "unit_missing": N_("Line %(line)s has no unit."),
    "unit_unknown": N_("The unit %(unit)s of line %(line)s is not known. Use a UN/ECE code such as H87."),
    "quantity_missing": N_("Line %(line)s has no quantity."),
    "price_differs": N_("The price of line %(line)s differs from the expected %(expected)s by %(difference)s."),
    "currency_differs": N_("Line %(line)s is priced in %(ordered)s, and our price is in %(ours)s."),
    "lead_time_short": N_("Line %(line)s is wanted on %(date)s, and we need %(days)s days."),
    "minimum_not_met": N_("Line %(line)s is below the least quantity of %(minimum)s."),
    "multiple_not_met": N_("Line %(line)s is not a multiple of %(multiple)s."),
    "requested_date_past": N_("The wanted day %(date)s has passed."),
    "line_id_duplicate": N_("Line id %(line)s is used twice."),
    "line_unknown": N_("The order has no line %(line)s."),
    "line_unresolved": N_("Line %(line)s has no article yet. Say which one is meant, replace it, or reject it."),
    "text_line_priced": N_("Line %(line)s is a text and has a price."),
    "amount_too_large": N_("The amount has more than 12 digits."),
    "attachment_missing": N_("The file %(name)s has not arrived."),
    # the buyer in an order
    "buyer_is_us": N_("The buyer in this order is our own company."),
    "buyer_mismatch": N_("The buyer's number %(sent)s is not the one we have for this partner."),
    "contact_ambiguous": N_("%(count)s of our contacts fit this buyer equally well."),
    "contact_belongs_to_other": N_("This buyer is already known through another connection."),
    "contact_blocked": N_("Orders of this company are blocked."),
    "contact_created": N_("We did not know this buyer, so a contact was made for it. Similar ones: %(similar)s."),
    "contact_differs": N_("The buyer's %(field)s differs from our record. The record stays as it is."),
    "contact_incomplete": N_("The buyer's card lacks %(missing)s."),
    "contact_is_us": N_("%(name)s is our own company; it is left out of our contacts."),
    "contact_similar": N_("%(name)s is %(score)s %% like it."),
    # answers and deliveries
    "line_answered_twice": N_("Line %(line)s is answered twice."),
    "accepted_yet_changed": N_("Line %(line)s is accepted and changed at once."),
    "change_missing": N_("Line %(line)s is said to be changed, but nothing is."),
    "rejected_yet_promised": N_("Line %(line)s is rejected and promised at once."),
    "quantity_zero": N_("Line %(line)s: nothing of it is said to leave."),
    "lines_missing": N_("Say which lines came."),
    # setting up
    "company_missing": N_("Our company has no card yet."),
    "articles_missing": N_("There are no active articles, so no order line can be matched."),
    "contacts_missing": N_("There are no contacts yet."),
    "token_missing": N_("No partner holds a token yet."),
    "partners_missing": N_("There is no partner yet. To buy, connect with a supplier by its bundle. To sell, make a token for each buyer."),
    "public_url_not_https": N_("The public address is not https, so partners on other machines cannot connect safely."),
    "bundle_malformed": N_("This is not a bundle. Copy it whole; it begins with prodsys1:."),
    "token_malformed": N_("This is not a token. Copy it whole; it begins with pst_."),
    "bad_address": N_("This address cannot be used."),
    "field_missing": N_("%(title)s must be filled in."),
    # lists brought in from a file
    "file_too_large": N_("The file is too large. Split it."),
    "file_encrypted": N_("The file is locked with a password. Save it without one."),
    "old_workbook": N_("This is a workbook of the old kind. Save it as .xlsx or .csv."),
    "not_a_workbook": N_("The file is not a workbook that can be read. Save it as .xlsx or .csv."),
    "workbook_waiting": N_("Other workbooks are being read. Try again in a minute."),
    "workbook_too_large": N_("The workbook needs too much memory or time. Split it, or save it as .csv."),
    "not_a_table": N_("The file is not a table. Save it as .xlsx or .csv."),
    "file_empty": N_("The file holds no rows. Its first row must name the columns."),
    "header_unreadable": N_("The first row, which names the columns, cannot be read."),
    "too_many_rows": N_("The file holds too many rows. Split it."),
    "too_many_cells": N_("The file holds too many cells. Split it, or leave out columns."),
    "too_many_columns": N_("The first row names too many columns."),
    "broken_quotes": N_("A quotation mark is out of place. Double it inside quoted text, and close every quoted cell."),
    "cell_without_column": N_("The row has a cell outside the named columns. Name the column, or put the cell in quotation marks."),
    "formula_failed": N_("The formula in this cell failed. Put the value there."),
    "format_as_text": N_("Leading zeros may be lost: format the column as text and type the value again."),
    "not_a_number": N_("This is not a number. Write digits with one decimal mark, such as 1234.50."),
    "ambiguous_number": N_("This number can be read in two ways. Write no thousands marks, and a 0 after a fraction of three digits."),
    "not_yes_or_no": N_("This is neither yes nor no. Write yes or no."),
    "not_a_whole_number": N_("This must be a whole number."),
    "date_invalid": N_("Write a date as 2026-11-21."),
    "dates_reversed": N_("The last day is before the first."),
    "text_too_long": N_("This text may have %(longest)s characters at most."),
    "text_invalid": N_("An article number has at most 80 characters and no control characters."),
    "article_number_missing": N_("An article needs a number."),
    "number_missing": N_("An order needs a number."),
    "number_twice": N_("The number %(number)s stands in row %(first)s already."),
    "price_twice": N_("Row %(first)s says what holds from the same quantity and day."),
    "row_twice": N_("Row %(other)s is the same contact."),
    "role_unknown": N_("The role %(role)s is not known. Write supplier, customer or both."),
    "supplier_incomplete": N_("A supplier and its article number belong together: fill in both cells or none."),
    "supplier_unknown": N_("There is no supplier %(supplier)s."),
    "supplier_ambiguous": N_("More than one supplier is called %(supplier)s. Name the one you mean by its id."),
    "partner_ambiguous": N_("More than one partner is called %(partner)s. Name the one you mean by its id."),
    "gtin_invalid": N_("%(gtin)s is no GTIN: that is 8, 12, 13 or 14 digits, of which the last is the check digit."),
    "price_missing": N_("An agreed price needs a price."),
    "price_negative": N_("A price is zero or more."),
    "currency_missing": N_("A price needs a currency."),
    "quantity_negative": N_("A price holds from a quantity of zero or more."),
    "quantity_not_positive": N_("This quantity must be more than zero."),
    "lead_time_invalid": N_("A lead time is 0 to %(longest)s whole days."),
    "already_exists": N_("There is an order %(number)s already."),
    # files and goods
    "despatch_told": N_("Despatch %(number)s was told before with other content, and stands. Give this one a number of its own."),
    "hash_mismatch": N_("The file changed on its way. Send it again."),
    "kind_not_taken": N_("Files of this kind are not taken. Taken are %(kinds)s, office files without macros, and texts in UTF-8."),
    "returned_too_much": N_("Line %(line)s: more would go back than has come."),
    # contacts
    "contact_unknown": N_("There is no such contact."),
    "same_contact": N_("A contact cannot be merged into itself."),
    "contact_linked_twice": N_(
        "Each of the two contacts is linked to a partner, and two partners cannot share one. Unlink one of them first."
    ),
    "contact_merged": N_("What pointed to the merged contact now points to the kept one."),
    # what happens by itself
    "delivery_dead": N_("They could not be reached in time. Check the supplier's address and token, then send it again."),
    "numbers_mismatch": N_("%(count)s of our article numbers there lead nowhere. Correct them under Articles, Supplier catalogues."),
    "subject_not_readable": N_("This person may not read what this would tell of. Give the permission first."),
    # connections, flows and mappings
    "not_authorized": N_("Somebody has to sign in at the other system first."),
    "not_tested": N_("The connection has not been tested yet."),
    "same_connection": N_("A flow leads from one system to another."),
    "interval_missing": N_("A flow by schedule runs at most every 10 seconds. Say how often."),
    "event_not_offered": N_("Only our own books tell of an event. Let this flow run by schedule."),
    "default_debtor_missing": N_("Say which debtor is the default one."),
    "filtered_out": N_("The flow's filters leave this record out."),
    "list_unknown": N_("There is no such list. Lists of your own begin with x-."),
    "entry_twice": N_("A list maps each entry once."),
    "article_missing_there": N_("There is no article %(article_number)s there."),
    "customer_key_missing": N_("The customer has no %(field)s, by which he would be found there."),
    "field_missing_there": N_("%(field)s is mandatory there."),
    "too_long_there": N_("%(field)s has at most %(longest)s characters there."),
    "digits_only_there": N_("%(field)s has digits only there."),
    "mandatory_missing": N_("%(field)s is mandatory and nothing fills it."),
    "mandatory_without_source": N_("%(field)s is mandatory and has neither a source nor a default."),
    "value_needed": N_("%(field)s has to be filled in by a person."),
    "constant_invalid": N_("The constant of %(field)s is not a number."),
    "path_invalid": N_("%(field)s has lists within lists."),
    "mapping_too_deep": N_("The rule for %(field)s is nested too deeply."),
    "mapping_too_large": N_("The mapping has too many steps."),
    "dead": N_("The system could not be reached in time."),
    "ambiguous_there": N_("More than one record there fits %(number)s."),
    "contact_twice": N_("Two records of theirs come with the same e-mail address."),
    "customer_unknown": N_("Its customer is not there and may not be made."),
    "customer_key_not_offered": N_("This system does not find customers by that."),
    "form_changed": N_("The connector asks for other fields now. Open the connection and test it again."),
    "linked_twice": N_("%(number)s is linked to another record already."),
    "more_than_to_go": N_("Line %(line)s: %(quantity)s is %(over)s more than was to go."),
    "not_a_choice_there": N_("%(field)s is none of the words that are taken there."),
    "not_configured": N_("The connection has not been configured yet."),
    "nothing_despatched": N_("Say how much of at least one line goes."),
    "number_taken": N_("There is an order %(number)s here already."),
    "order_type_not_offered": N_("This system does not make that of an order."),
    "too_exact_there": N_("%(field)s has too many decimals for there."),
    "unknown_there": N_("%(number)s was sent, and the answer was lost. Look whether it is there, then link it or let it be sent again."),
}
"""What is true of one thing to look at, by its code; the values stand in `params`."""

OTHERWISE: dict[str, str] = {
    "control_character": N_("The text holds a control character or a line break."),
    "text_too_long": N_("This text is too long."),
    "currency_unknown": N_("The currency is not known. Write an ISO 4217 code, such as NOK."),
    "unit_unknown": N_("The unit %(unit)s is not known. Use a UN/ECE code such as H87."),
    "quantity_missing": N_("A line needs a quantity."),
    "article_missing": N_("A line needs our article or the supplier's article number."),
}
"""The same where it is said of something that lacks a value of the first sentence, as a row of a file does."""


SHORT: dict[str, str] = {
    "already_received": N_("They have it as it stands"),
    "already_on_its_way": N_("On its way"),
    "cancelled": N_("Cancelled"),
    "supplier_missing": N_("No supplier chosen"),
    "company_card_missing": N_("Our company card is empty"),
    "partner_not_connected": N_("No connection to %(partner)s"),
    "partner_inactive": N_("%(partner)s is switched off"),
    "token_expired": N_("Their token expired on %(date)s"),
    "scope_missing": N_("Their token lacks %(scope)s"),
    "module_off": N_("The extension is switched off"),
    "article_missing": N_("Line %(line)s: no supplier article number"),
    "quantity_missing": N_("Line %(line)s: no quantity"),
    "unit_missing": N_("Line %(line)s: no unit"),
    "unit_unknown": N_("Line %(line)s: unit %(unit)s is not known"),
    "currency_unknown": N_("Currency %(currency)s is not known"),
}
"""The same in a few words, for the row of a list."""


THEIRS: dict[str, str] = {
    "article_unknown": N_("They have no article %(number)s."),
    "article_inactive": N_("They no longer sell article %(number)s."),
    "article_ambiguous": N_("More than one of their articles may be meant."),
    "gtin_mismatch": N_("Number and GTIN are two different articles there. Correct one."),
    "gtin_differs": N_("They have another GTIN for this number."),
    "unit_differs": N_("They sell it by %(sold)s."),
    "currency_differs": N_("Their price is in %(ours)s."),
    "lead_time_short": N_("They need %(days)s days, and it is wanted on %(date)s."),
    "minimum_not_met": N_("They sell at least %(minimum)s."),
    "multiple_not_met": N_("They sell it in multiples of %(multiple)s."),
    "order_conflict": N_("They have this number and revision with other content. Change the order, so that it becomes the next revision."),
    "revision_superseded": N_("They have a newer revision. Change the order, so that it becomes the next one."),
    "buyer_is_us": N_("They take us for their own company. Check whose token we hold."),
    "buyer_mismatch": N_("Our card contradicts what they have on file of us. Compare the cards."),
    "contact_ambiguous": N_("They know more than one company that could be us. Ask them to choose one."),
    "contact_belongs_to_other": N_("They have our data under another partner. Ask them to put it right."),
    "contact_blocked": N_("They have blocked us as a customer. Ask their order desk."),
    "contact_created": N_("They did not know us, so a contact is made for us there."),
    "contact_differs": N_("Their record of us differs from our card."),
    "contact_incomplete": N_("Our card lacks %(missing)s."),
}
"""What a supplier found about an order of ours, as its buyer reads it."""


def of_them(speech: Speech, issue: Issue) -> str:
    """What a supplier found, in the buyer's words, with the line it is about."""
    try:
        text = speech.say(THEIRS[issue.code]) % issue.params
    except (KeyError, ValueError, TypeError):
        return sentence(speech, issue)
    return f"{speech.say(N_('Line %(line)s:'), line=issue.params['line'])} {text}" if "line" in issue.params else text


def shortly(speech: Speech, issue: Issue) -> str:
    """An issue in a few words; in a sentence where there are none."""
    try:
        return speech.say(SHORT[issue.code]) % issue.params
    except (KeyError, ValueError, TypeError):
        return sentence(speech, issue)


def sentence(speech: Speech, issue: Issue) -> str:
    """An issue in the reader's language; in English where we have no sentence for its code, or it lacks a value."""
    params = issue.params
    if title := params.get("title"):
        # What a field is called in a connector's own form.
        params = {**params, "title": speech.say(title)}
    for text in (REMARKS.get(issue.code), OTHERWISE.get(issue.code)):
        if text is not None:
            with contextlib.suppress(KeyError, ValueError, TypeError):
                return speech.say(text) % params
    # Why a connector cannot, it says itself.
    return speech.say(issue.message) if issue.message else ""


def told(speech: Speech, refusal: errors.Refusal) -> str:
    """A refusal in the reader's language; what it says about this one time follows in English where it says more."""
    text = REFUSALS.get(refusal.code)
    if text is None:
        return refusal.detail or refusal.title()
    return speech.say(text)

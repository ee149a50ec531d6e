// What pages can do beyond links and forms: keys, select-all with a running count, copying, and telling that a button was pressed.
// Everything works without this file; it only saves clicks.
"use strict";
(() => {
  const one = (selector, root = document) => root.querySelector(selector);
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];

  // Where a form was refused, begin at what is wrong.
  one("[data-focus]")?.focus();
  one("[data-ready]")?.focus({ preventScroll: true });

  // What opens in a window of its own is the browser's to send, not a script's.
  document.addEventListener("submit", (event) => { if (event.submitter?.formTarget === "_blank") event.stopImmediatePropagation(); }, true);

  // A pressed button stays pressed: a second click sends nothing twice.
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.method !== "post" || form.hasAttribute("data-again")) return;
    if (form.dataset.sent) { event.preventDefault(); return; }
    form.dataset.sent = "1";
    form.setAttribute("aria-busy", "true");
    setTimeout(() => all("button[type=submit]", form).forEach((button) => button.setAttribute("aria-disabled", "true")), 0);
  });
  // Coming back by the browser's own button, the form is fresh again.
  addEventListener("pageshow", () => all("form[data-sent]").forEach((form) => { delete form.dataset.sent; form.removeAttribute("aria-busy"); all("[aria-disabled]", form).forEach((b) => b.removeAttribute("aria-disabled")); }));

  // Boxes: one to tick all, and a sentence that says what the ticked ones come to.
  const count = (form) => {
    const boxes = all("input[data-pick]:not(:disabled)", form), picked = boxes.filter((box) => box.checked);
    const every = one("input[data-pick-all]", form);
    if (every) { every.checked = picked.length > 0 && picked.length === boxes.length; every.indeterminate = picked.length > 0 && picked.length < boxes.length; }
    boxes.forEach((box) => box.closest("tr")?.classList.toggle("is-picked", box.checked));
    const lang = document.documentElement.lang, plural = new Intl.PluralRules(lang).select(picked.length);
    all("[data-picked]", form).forEach((told) => {
      const words = picked.length === 0 && told.dataset.zero ? told.dataset.zero : told.dataset[plural] ?? told.dataset.other;
      told.textContent = words.replace("%n", picked.length.toLocaleString(lang));
    });
    const sums = one("[data-sums]", form), by = new Map();
    picked.forEach((box) => box.dataset.currency && by.set(box.dataset.currency, (by.get(box.dataset.currency) ?? 0) + Number(box.dataset.net)));
    if (sums) sums.textContent = [...by].map(([currency, net]) => ` · ${net.toLocaleString(lang, { style: "currency", currency })}`).join("");
    all("[data-needs-pick]", form).forEach((button) => button.toggleAttribute("disabled", picked.length === 0));
  };
  document.addEventListener("change", (event) => {
    const box = event.target, form = box.form;
    if (box.matches?.("input[data-pick-all]")) all("input[data-pick]:not(:disabled)", form).forEach((other) => { other.checked = box.checked; });
    if (box.matches?.("input[data-pick], input[data-pick-all]")) count(form);
    if (box.matches?.("select[data-go]")) form.requestSubmit();
  });
  all("form:has(input[data-pick])").forEach(count);

  // Copy, and say so.
  document.addEventListener("click", async (event) => {
    const button = event.target.closest?.("[data-copy]");
    if (!button) return;
    const source = document.getElementById(button.dataset.copy);
    await navigator.clipboard.writeText(source.value ?? source.textContent);
    const told = button.querySelector("[aria-live]") ?? button;
    const before = told.textContent;
    told.textContent = button.dataset.copied;
    setTimeout(() => { told.textContent = before; }, 3000);
  });
  document.addEventListener("click", (event) => { if (event.target.closest?.("[data-print]")) print(); });
  // A row added to a form: the server drew an empty one in a template.
  document.addEventListener("click", (event) => {
    const button = event.target.closest?.("[data-add]");
    if (!button) return;
    event.preventDefault();
    const source = document.getElementById(button.dataset.add), place = document.getElementById(button.dataset.to);
    const row = source.content.cloneNode(true), number = place.dataset.next ? place.dataset.next++ : place.children.length;
    all("[name],[id],[for],[aria-describedby]", row).forEach((part) => ["name", "id", "for", "aria-describedby"].forEach((name) => part.hasAttribute(name) && part.setAttribute(name, part.getAttribute(name).replace("__n__", number))));
    place.append(row);
    one("input,select", place.lastElementChild)?.focus();
  });
  document.addEventListener("click", (event) => { const button = event.target.closest?.("[data-drop]"); if (button) { button.closest("tr, fieldset, li").remove(); } });

  // A list that grows by itself: the oldest rows make room; paused, what comes waits its turn and is not lost.
  all("[data-most]").forEach((list) => new MutationObserver(() => { while (list.children.length > list.dataset.most) list.lastElementChild.remove(); }).observe(list, { childList: true }));
  let paused = null, goOn = null;
  document.addEventListener("click", (event) => {
    const button = event.target.closest?.("[data-pause]");
    if (!button) return;
    event.preventDefault();
    const told = button.querySelector("span"), other = button.dataset.paused;
    button.dataset.paused = told.textContent;
    told.textContent = other;
    if (paused) { goOn(); paused = null; } else { paused = new Promise((done) => { goOn = done; }); }
    one("#live")?.toggleAttribute("hidden", Boolean(paused));
  });
  document.addEventListener("htmx:sse:before:message", (event) => { if (paused) event.detail.waitUntil(paused); });
  // Whose sign-in has ended meanwhile is asked to sign in, not left with a page that stands still.
  document.addEventListener("htmx:sse:error", (event) => { if (event.detail.status === 401) location.reload(); });

  // Seconds that run out: what can be taken back until then is told to be gone.
  all("[data-seconds]").forEach((told) => {
    const end = Date.now() + 1000 * told.dataset.seconds, left = one("[data-left]", told);
    const tick = setInterval(() => {
      const seconds = Math.ceil((end - Date.now()) / 1000);
      if (seconds > 0) { left.textContent = left.textContent.replace(/\d+/, seconds); return; }
      clearInterval(tick);
      if (told.matches("button")) { told.hidden = true; return; }
      told.textContent = told.dataset.over;
      all("[data-while]").forEach((button) => { button.hidden = true; });
    }, 250);
  });

  // Keys. Single letters only while nobody is typing, and only for those who want them.
  let went = 0;
  const rows = () => all("[data-rows] tbody tr:has(a)");
  const at = () => rows().findIndex((row) => row.contains(document.activeElement));
  const move = (step) => { const list = rows(), next = list[Math.min(Math.max(at() + step, 0), list.length - 1)]; one("th a, td a", next ?? document)?.focus(); next?.scrollIntoView({ block: "nearest" }); };
  const places = { d: "/drafts", o: "/orders", l: "/logs", h: "/", e: "/exports" };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || !document.body.hasAttribute("data-shortcuts")) return;
    if (event.target.matches?.("input:not([type=checkbox],[type=radio]), textarea, select, [contenteditable]")) return;
    const row = rows()[at()];
    const press = (name) => { const button = one(`[data-key="${name}"]`, row ?? document) ?? one(`[data-key="${name}"]`); if (button && !button.disabled) button.click(); return button; };
    if (went && places[event.key]) { went = 0; location.assign(places[event.key]); return; }
    went = 0;
    switch (event.key) {
      case "/": one("[data-search]")?.focus(); break;
      case "?": one("#keys")?.showModal(); break;
      case "g": went = setTimeout(() => { went = 0; }, 1500); return;
      case "j": move(1); break;
      case "k": move(-1); break;
      case "o": one("th a, td a", row ?? document.createElement("p"))?.click(); break;
      case "x": one("input[data-pick]:not(:disabled)", row ?? document.createElement("p"))?.click(); break;
      case "a": case "r": case "u": if (!press(event.key)) return; break;
      default: return;
    }
    event.preventDefault();
  });

  // Sentences that follow a form as it is filled in: <output data-from="form-id"> with parts named data-of="field".
  document.addEventListener("input", (event) => {
    const form = event.target.form;
    if (!form?.id) return;
    all(`[data-from="${form.id}"] [data-of]`).forEach((part) => {
      const chosen = all(`[name="${part.dataset.of}"]`, form).filter((field) => field.type !== "checkbox" && field.type !== "radio" || field.checked);
      part.textContent = chosen.map((field) => field.dataset.said ?? (field.selectedOptions ? field.selectedOptions[0].textContent : field.value)).filter(Boolean).join(", ") || part.dataset.none || "…";
    });
  });
})();

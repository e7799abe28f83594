"use strict";
// One key an act: an element with data-key is pressed by that key, and j and k scroll the case. In a box keys write.
// Keys can be switched off on the card that `?` shows, for people who dictate; the choice is kept in this browser.
(() => {
  const OFF = "tcap-keys-off";
  const CALM_MS = 250; // A key that was pressed twice never judges a case that nobody has seen.
  const card = document.getElementById("keys");
  const writes = (element) => element.matches("input:not([type=hidden], [type=checkbox], [type=radio]), textarea, select, [contenteditable]");
  const acts = (element) => element.matches("a[href], button, summary, input, select, textarea");
  const kept = () => { try { return localStorage.getItem(OFF) === "yes"; } catch { return false; } };
  let off = kept();
  let sent = false;

  for (const opener of document.querySelectorAll("[data-opens]")) {
    opener.hidden = false;
    opener.addEventListener("click", () => document.getElementById(opener.dataset.opens).showModal());
  }
  const toggle = document.getElementById("keys-on");
  if (toggle) {
    toggle.checked = !off;
    toggle.addEventListener("change", () => {
      off = !toggle.checked;
      try { localStorage.setItem(OFF, off ? "yes" : "no"); } catch { /* the choice lasts as long as the page */ }
    });
  }
  for (const element of document.querySelectorAll("[data-newest-last]")) element.scrollTop = element.scrollHeight;

  setTimeout(() => { document.documentElement.dataset.ready = "yes"; }, CALM_MS);
  addEventListener("pageshow", () => { sent = false; });
  document.addEventListener("submit", (event) => {
    if (event.defaultPrevented || event.target.method === "dialog") return;
    if (sent) event.preventDefault();
    sent = true;
  });

  const press = (key) => {
    const element = document.querySelector(`[data-key="${CSS.escape(key)}"]:not([hidden], [disabled])`);
    if (element) element.click();
    return Boolean(element);
  };
  const scroll = (way) => {
    const place = document.getElementById("case");
    if (!place) return false;
    const inside = place.scrollHeight > place.clientHeight + 1;
    (inside ? place : window).scrollBy({top: way * 0.7 * (inside ? place.clientHeight : innerHeight)});
    return true;
  };

  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.isComposing || event.ctrlKey || event.metaKey || event.altKey) return;
    if (card && card.open) return;
    const target = event.target;
    if (writes(target)) {
      if (event.key === "Escape") target.blur();
      return;
    }
    if (off && event.key !== "?") return;
    if (event.key === "Enter" && acts(target)) return;
    const handled = () => event.preventDefault();
    if (event.key === "j" || event.key === "k") { if (scroll(event.key === "j" ? 1 : -1)) handled(); return; }
    if (!document.querySelector(`[data-key="${CSS.escape(event.key)}"]`)) return;
    handled();
    if (!event.repeat && document.documentElement.dataset.ready) press(event.key);
  });
})();

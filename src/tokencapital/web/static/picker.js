"use strict";
// A box to find a label in: typing filters, arrows move, digits pick, Enter saves; a label that nobody has used yet
// needs a second Enter. An ARIA combobox whose list is always open. Without this file it is a box with a datalist.
(() => {
  const picker = document.querySelector("[data-picker]");
  if (!picker) return;
  const box = picker.querySelector("input[name=answer]");
  const fresh = picker.querySelector("input[name=new_label]");
  const list = picker.querySelector("[role=listbox]");
  const save = document.getElementById("correct");
  const all = [...picker.querySelectorAll("datalist option")].map((one) => ({label: one.value, why: one.dataset.why || ""}));
  const known = new Set(all.map((one) => one.label));
  const MOST = 200;
  let shown = [];
  let active = -1;

  box.removeAttribute("list");
  for (const [name, value] of Object.entries({
    role: "combobox", "aria-autocomplete": "list", "aria-expanded": "true", "aria-controls": list.id, "aria-haspopup": "listbox",
  })) box.setAttribute(name, value);
  list.hidden = false;

  // How well a label fits what was typed: its signs in order, best at the starts of words and next to each other.
  const fit = (label, query) => {
    const text = label.toLowerCase();
    let before = null;
    for (const sign of query) {
      const now = new Array(text.length).fill(-Infinity);
      let best = before ? -Infinity : 0;
      for (let at = 0; at < text.length; at += 1) {
        if (text[at] === sign) {
          const starts = at === 0 || !/[\p{L}\p{N}]/u.test(text[at - 1]);
          const joined = before && at > 0 ? before[at - 1] + 6 : -Infinity;
          now[at] = Math.max(best + 1, joined) + (starts ? 8 : 0);
        }
        if (before) best = Math.max(best, before[at]);
      }
      before = now;
    }
    return before ? Math.max(-Infinity, ...before) - text.length / 100 : 0;
  };
  const found = (typed) => {
    const query = typed.toLowerCase().replace(/[\s_-]+/g, "");
    if (!query) return all;
    return all.map((one) => ({...one, points: fit(one.label, query)})).filter((one) => one.points > -Infinity)
      .sort((one, other) => other.points - one.points);
  };

  const chosen = () => known.has(box.value.trim()) ? box.value.trim() : null;
  const draw = () => {
    list.replaceChildren(...shown.map((one, place) => {
      const option = document.createElement("li");
      option.id = `option-${place}`;
      option.setAttribute("role", "option");
      option.setAttribute("aria-selected", String(!one.fresh && one.label === chosen()));
      if (place === active) option.classList.add("active");
      const key = document.createElement("kbd");
      key.textContent = place < 9 && !one.fresh ? String(place + 1) : "";
      key.setAttribute("aria-hidden", "true");
      const name = document.createElement("span");
      name.className = "name";
      name.textContent = one.fresh ? `New label: ${one.label}` : one.label;
      option.append(key, name);
      if (one.why) {
        const why = document.createElement("span");
        why.className = "quiet small";
        why.textContent = one.why;
        option.append(why);
      }
      option.addEventListener("mousedown", (event) => event.preventDefault());
      option.addEventListener("click", () => choose(place));
      return option;
    }));
    if (active >= 0) {
      box.setAttribute("aria-activedescendant", `option-${active}`);
      list.children[active].scrollIntoView({block: "nearest"});
    } else box.removeAttribute("aria-activedescendant");
  };
  const search = () => {
    const typed = box.value.trim();
    shown = found(typed).slice(0, MOST);
    if (typed && !known.has(typed)) shown.push({label: typed, why: shown.length ? "" : "nothing is called that", fresh: true});
    active = typed ? 0 : -1;
    draw();
  };
  const say = (words) => box.dispatchEvent(new CustomEvent("tcap-chosen", {bubbles: true, detail: words}));
  const arm = (label) => {
    fresh.value = label;
    say(`“${label}” is a new label. Press Enter once more to make it.`);
  };
  // True where the box now holds a label that may be saved.
  const choose = (place) => {
    const one = shown[place];
    if (!one) return false;
    if (one.fresh) {
      const again = fresh.value === one.label;
      if (!again) arm(one.label);
      return again;
    }
    box.value = one.label;
    fresh.value = "";
    active = place;
    draw();
    say(`${one.label} is chosen. Enter saves it.`);
    return true;
  };

  box.addEventListener("input", search);
  box.addEventListener("keydown", (event) => {
    if (event.isComposing || event.ctrlKey || event.metaKey || event.altKey) return;
    const move = {ArrowDown: 1, ArrowUp: -1, PageDown: 8, PageUp: -8}[event.key];
    if (move && shown.length) {
      event.preventDefault();
      active = Math.abs(move) === 1 ? (active + move + shown.length + (active < 0 && move < 0 ? 1 : 0)) % shown.length
        : Math.max(0, Math.min(shown.length - 1, active + move));
      draw();
    } else if (event.key === "Enter") {
      event.preventDefault();
      if (event.repeat) return;
      if (active >= 0 ? choose(active) : chosen()) save.click();
      else if (active < 0) say("Type or pick a label first.");
    } else if (/^[1-9]$/.test(event.key) && shown[event.key - 1] && !shown[event.key - 1].fresh) {
      const typed = box.selectionStart === 0 && box.selectionEnd === box.value.length ? "" : box.value;
      if (all.some((one) => one.label.toLowerCase().startsWith((typed + event.key).toLowerCase()))) return;
      event.preventDefault();
      choose(event.key - 1);
    }
  });
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || event.target === box) return;
    if (event.target.matches("input:not([type=checkbox]), textarea, select") || document.querySelector("dialog[open]")) return;
    if (/^[1-9]$/.test(event.key) && choose(Number(event.key) - 1)) event.preventDefault();
    else if (event.key === "Escape" && box.value) { box.value = ""; fresh.value = ""; search(); say("Nothing is chosen."); }
  });
  box.form.addEventListener("submit", (event) => {
    const typed = box.value.trim();
    const saves = event.submitter && event.submitter.value === "corrected";
    if (!saves || !typed || known.has(typed) || fresh.value === typed) return;
    event.preventDefault();
    arm(typed);
  }, true);
  search();
  if (!box.value) active = -1;
})();

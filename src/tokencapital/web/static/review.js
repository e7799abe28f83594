"use strict";
// The review page: Enter says right or saves what was begun, c corrects, w gives a reason; time is taken while the page
// is looked at; fields say where they differ from what was proposed. Without this file the form works by its buttons.
(() => {
  const form = document.getElementById("judgment");
  if (!form) return;
  const save = document.getElementById("correct");
  const right = form.querySelector("button[value=right]");
  const answer = document.getElementById("answer");
  const status = document.getElementById("status");
  const first = form.querySelector("[data-correct]");
  const reason = form.querySelector("[data-reason]");
  const plain = (text) => text.replace(/\r\n?/g, "\n").trim();
  const tell = (words) => { status.textContent = words; };
  let doubted = false;

  // How long the page was looked at.
  let spent = 0;
  let since = document.hidden ? null : performance.now();
  const pause = () => { if (since !== null) { spent += performance.now() - since; since = null; } };
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) pause();
    else if (since === null) since = performance.now();
  });
  form.addEventListener("submit", () => { pause(); form.elements.seconds.value = (spent / 1000).toFixed(1); });

  // What differs from the proposal.
  const mark = (field) => {
    if (field.dataset.proposed === undefined) return;
    const control = field.querySelector("input, select, textarea");
    const changed = plain(control.value) !== plain(field.dataset.proposed);
    field.classList.toggle("changed", changed);
    field.querySelector("[data-was]").hidden = !changed;
  };
  for (const field of form.querySelectorAll("[data-field]")) {
    field.addEventListener("input", () => { mark(field); begun(); });
    mark(field);
  }
  const begun = () => {
    const changed = isBegun();
    form.classList.toggle("begun", changed);
    return changed;
  };
  const isBegun = () => {
    const fields = [...form.querySelectorAll("[data-field]")];
    if (fields.some((one) => one.dataset.proposed === undefined ? one.querySelector("input, select, textarea").value : one.classList.contains("changed"))) return true;
    if (form.elements.new_field && form.elements.new_field.value && form.elements.new_value.value) return true;
    if (!answer) return false;
    const picker = answer.closest("[data-picker]");
    if (picker) return plain(answer.value) !== "" && plain(answer.value) !== picker.dataset.proposed;
    const diff = answer.dataset.diff;
    return plain(answer.value) !== (diff ? plain(answer.defaultProposed ?? "") : "");
  };
  if (answer && answer.dataset.diff) answer.defaultProposed = document.getElementById("proposed").textContent;
  form.addEventListener("input", begun);
  form.addEventListener("tcap-chosen", (event) => { begun(); tell(event.detail); });
  begun();

  // What was typed outlives a reload, a lost connection or a login that ran out: in this tab, for this case only.
  const DRAFT = "tcap-draft";
  const boxes = () => [...form.elements].filter((one) => one.name && !["hidden", "submit"].includes(one.type));
  const valueOf = (one) => (one.type === "checkbox" ? one.checked : one.value);
  const keep = () => {
    const typed = Object.fromEntries(boxes().map((one) => [one.name, valueOf(one)]));
    try { sessionStorage.setItem(DRAFT, JSON.stringify({draw: form.dataset.draw, typed})); } catch { /* it is only lost */ }
  };
  const restore = () => {
    let kept = null;
    try { kept = JSON.parse(sessionStorage.getItem(DRAFT)); } catch { return; }
    if (!kept || kept.draw !== form.dataset.draw) {
      try { sessionStorage.removeItem(DRAFT); } catch { /* there is none */ }
      return;
    }
    if (form.dataset.typed) return;
    for (const one of boxes()) {
      if (!(one.name in kept.typed) || kept.typed[one.name] === valueOf(one)) continue;
      if (one.type === "checkbox") one.checked = kept.typed[one.name];
      else one.value = kept.typed[one.name];
      one.dispatchEvent(new Event("input", {bubbles: true}));
    }
  };
  restore();
  form.addEventListener("input", keep);
  form.addEventListener("tcap-chosen", keep);

  const go = (selector) => {
    if (!selector) return false;
    selector.focus();
    if (selector.select && selector.matches("input")) selector.select();
    selector.scrollIntoView({block: "nearest"});
    return true;
  };
  const judge = () => {
    if (begun()) save.click();
    else if (right) right.click();
    else { go(first); tell("The machine has no answer: give one, or say that you cannot tell."); }
  };
  if (right) {
    right.addEventListener("click", (event) => {
      if (!isBegun() || doubted || event.detail > 0) return;
      event.preventDefault();
      doubted = true;
      tell("You began a correction. Enter saves it; r once more says right as proposed.");
    });
  }

  document.addEventListener("keydown", (event) => {
    if (event.isComposing || event.altKey || document.querySelector("dialog[open]")) return;
    const target = event.target;
    const ready = !event.repeat && document.documentElement.dataset.ready;
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      if (ready) save.click();
      return;
    }
    if (event.ctrlKey || event.metaKey) return;
    if (target === reason) {
      if (event.key === "Enter" && !event.shiftKey) { event.preventDefault(); reason.blur(); tell("Reason kept. Enter judges."); }
      return;
    }
    if (target.matches("select") && event.key === "Enter") { event.preventDefault(); if (ready) save.click(); return; }
    if (target.matches("input:not([type=checkbox]), textarea, select")) return;
    if (event.key === "Enter") {
      if (target.matches("a[href], button, summary")) return;
      event.preventDefault();
      if (ready) judge();
    } else if (event.key === "c" && go(first)) event.preventDefault();
    else if (event.key === "w" && go(reason)) event.preventDefault();
  });
})();

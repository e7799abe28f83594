"use strict";
// One key a judgment. Inside a text box keys write; Escape leaves it, Enter in a one-line box saves the correction.
const typing = (element) => element.matches("input:not([type=hidden]), textarea, select");
const focus = (selector) => {
  const target = document.querySelector(selector);
  if (target) { target.focus(); if (target.select) target.select(); }
  return Boolean(target);
};
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const inText = typing(event.target);
  if (event.key === "Escape" && inText) { event.target.blur(); return; }
  if (inText) {
    if (event.key === "Enter" && event.target.closest("fieldset") && !event.target.matches("textarea")) {
      event.preventDefault();
      document.getElementById("correct").click();
    }
    return;
  }
  if (event.key === "c" && focus("[data-correct]")) { event.preventDefault(); return; }
  if (event.key === "w" && focus("[data-reason]")) { event.preventDefault(); return; }
  const button = document.querySelector(`[data-key="${CSS.escape(event.key)}"]`);
  if (button) { event.preventDefault(); button.click(); }
});

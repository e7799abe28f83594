"use strict";
// What changed between the proposed text and the one in the box, word by word, while it is typed.
(() => {
  const box = document.querySelector("textarea[data-diff]");
  if (!box) return;
  const place = document.getElementById(box.dataset.diff);
  const section = place.closest("section");
  const proposed = document.getElementById("proposed").textContent;
  const MOST = 4_000_000; // cells of the table: more than that is compared line by line
  const words = (text) => text.match(/\s+|[\p{L}\p{N}_]+|[^\s\p{L}\p{N}_]/gu) || [];

  const pieces = (before, after) => {
    let old = words(before);
    let now = words(after);
    if (old.length * now.length > MOST) {
      old = before.match(/[^\n]*\n?/g);
      now = after.match(/[^\n]*\n?/g);
    }
    let start = 0;
    while (start < old.length && start < now.length && old[start] === now[start]) start += 1;
    let end = 0;
    while (end < old.length - start && end < now.length - start && old[old.length - 1 - end] === now[now.length - 1 - end]) end += 1;
    const middle = between(old.slice(start, old.length - end), now.slice(start, now.length - end));
    return [["kept", old.slice(0, start).join("")], ...middle, ["kept", old.slice(old.length - end).join("")]];
  };
  // The longest common subsequence, from its table of lengths.
  const between = (old, now) => {
    const wide = now.length + 1;
    const lengths = new Uint32Array((old.length + 1) * wide);
    for (let i = old.length - 1; i >= 0; i -= 1) {
      for (let j = now.length - 1; j >= 0; j -= 1) {
        lengths[i * wide + j] = old[i] === now[j] ? lengths[(i + 1) * wide + j + 1] + 1
          : Math.max(lengths[(i + 1) * wide + j], lengths[i * wide + j + 1]);
      }
    }
    const found = [];
    const add = (change, text) => {
      const last = found[found.length - 1];
      if (last && last[0] === change) last[1] += text;
      else found.push([change, text]);
    };
    let i = 0;
    let j = 0;
    while (i < old.length || j < now.length) {
      if (i < old.length && j < now.length && old[i] === now[j]) { add("kept", old[i]); i += 1; j += 1; }
      else if (j === now.length || (i < old.length && lengths[(i + 1) * wide + j] >= lengths[i * wide + j + 1])) { add("removed", old[i]); i += 1; }
      else { add("added", now[j]); j += 1; }
    }
    return found;
  };

  const aside = (words) => {
    const element = document.createElement("span");
    element.className = "unseen";
    element.textContent = words;
    return element;
  };
  const node = ([change, text]) => {
    if (change === "kept") return document.createTextNode(text);
    const element = document.createElement(change === "added" ? "ins" : "del");
    element.append(aside(`[${change}: `), text, aside("]"));
    return element;
  };
  const draw = () => {
    const changed = box.value.trim() !== proposed.trim();
    section.hidden = !changed;
    if (changed) place.replaceChildren(...pieces(proposed, box.value).filter(([, text]) => text).map(node));
  };
  let waits = false;
  box.addEventListener("input", () => {
    if (waits) return;
    waits = true;
    requestAnimationFrame(() => { waits = false; draw(); });
  });
  draw();
})();

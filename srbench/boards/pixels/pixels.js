/* Enhances the comparator; everything works without it. The inputs are the state: whoever sets one
   from outside fires its change event. */
(() => {
  "use strict";
  const root = document.getElementById("pix");
  if (!root) return;
  const scenes = [...root.querySelectorAll('[name="pix-scene"]')];
  const place = () => Math.max(0, scenes.findIndex(scene => scene.checked));

  // Letters only while something of the comparator has the focus, so that no key is taken elsewhere.
  root.addEventListener("keydown", event => {
    const by = {j: 1, k: -1}[event.key];
    if (!by || event.ctrlKey || event.altKey || event.metaKey) return;
    const next = scenes[(place() + by + scenes.length) % scenes.length];
    next.checked = true;
    next.dispatchEvent(new Event("change", {bubbles: true}));
    event.preventDefault();
  });

  // Split: the right part of the shown image is HR.
  const range = document.getElementById("pix-split");
  const hr = document.getElementById("pix-method-hr");
  if (!range || !hr) return;
  const split = () => {
    for (const old of root.querySelectorAll(".pix-half")) old.remove();
    const share = Number(range.value), at = `.pix-of-${place()}`;
    range.setAttribute("aria-valuetext", share ? `right ${share} % is HR` : "off");
    const chosen = root.querySelector('[name="pix-method"]:checked');
    if (!share || !chosen) return;
    const shot = chosen.closest(".pix-option").querySelector(`.pix-stage ${at}`);
    const image = hr.closest(".pix-option").querySelector(`.pix-stage ${at} .pix-image`);
    if (!shot || !image || !shot.querySelector("img")) return;
    const half = image.cloneNode();
    half.className = "pix-image pix-half";
    half.alt = "";
    half.style.setProperty("clip-path", `inset(0 0 0 ${100 - share}%)`);
    shot.append(half);
  };
  document.getElementById("pix-split-tool").hidden = false;
  range.addEventListener("input", split);
  root.addEventListener("change", split);
  split();
})();

"use strict";
(() => {
  document.body.classList.remove("no-script");

  // Copy buttons: data-copy names the element whose text is copied.
  for (const button of document.querySelectorAll("button[data-copy]")) {
    button.addEventListener("click", async () => {
      const source = document.getElementById(button.dataset.copy);
      let done = true;
      try {
        await navigator.clipboard.writeText(source.textContent);
      } catch {
        const range = document.createRange();
        range.selectNodeContents(source);
        getSelection().removeAllRanges();
        getSelection().addRange(range);
        done = document.execCommand("copy");
      }
      const said = document.getElementById(button.dataset.said);
      said.textContent = done ? "Copied." : "Selected: press Ctrl+C.";
    });
  }

  // A choice shows the element that it controls, until it is pressed again.
  for (const button of document.querySelectorAll("button[data-shows]")) {
    button.addEventListener("click", () => {
      const group = button.closest(".answer");
      for (const other of group.querySelectorAll("button[data-shows]")) {
        const on = other === button && other.getAttribute("aria-pressed") !== "true";
        other.setAttribute("aria-pressed", String(on));
        document.getElementById(other.dataset.shows).hidden = !on;
      }
    });
  }

  // Answers: a search over what was asked, wanted and answered.
  for (const input of document.querySelectorAll("input[data-filters]")) {
    const rows = [...document.querySelectorAll(`#${input.dataset.filters} > details`)];
    const said = document.getElementById(input.dataset.said);
    input.addEventListener("input", () => {
      const wanted = input.value.toLowerCase();
      let shown = 0;
      for (const row of rows) {
        row.hidden = !row.textContent.toLowerCase().includes(wanted);
        shown += !row.hidden;
      }
      said.textContent = wanted ? `${shown} of ${rows.length}` : "";
    });
  }

  // A printed page shows what is folded.
  addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((one) => { one.open = true; }));

  for (const home of document.querySelectorAll(".home")) picture(home);

  function picture(home) {
    const svg = home.querySelector(".view svg");
    const whole = svg.viewBox.baseVal;
    const all = { x: whole.x, y: whole.y, w: whole.width, h: whole.height };
    let box = { ...all };
    const nodes = [...svg.querySelectorAll(".node")];
    const pairs = [...svg.querySelectorAll(".pair")];
    const found = home.querySelector(".found");
    const search = home.querySelector("input[type=search]");

    const scale = () => Math.min(svg.clientWidth / box.w, svg.clientHeight / box.h) || 1;
    function show() {
      svg.setAttribute("viewBox", `${box.x} ${box.y} ${box.w} ${box.h}`);
      svg.classList.toggle("far", 12 * scale() < 6);
    }
    function zoom(factor, cx = box.x + box.w / 2, cy = box.y + box.h / 2) {
      const limited = Math.min(Math.max(box.w * factor, 120), all.w * 2) / box.w;
      box = { x: cx - (cx - box.x) * limited, y: cy - (cy - box.y) * limited, w: box.w * limited, h: box.h * limited };
      show();
    }
    function at(event) {
      const s = scale(), r = svg.getBoundingClientRect();
      return {
        x: box.x + box.w / 2 + (event.clientX - r.left - r.width / 2) / s,
        y: box.y + box.h / 2 + (event.clientY - r.top - r.height / 2) / s,
      };
    }
    function fit() { box = { ...all }; show(); }
    function move(dx, dy) { box.x += dx * box.w; box.y += dy * box.h; show(); }

    function pick(index) {
      const joined = new Set(index === null ? [] : [String(index)]);
      const lines = { known: [], suggested: [] };
      svg.classList.toggle("picked", index !== null);
      for (const pair of pairs) {
        const { t, a, kind } = pair.dataset;
        const hit = index !== null && (t === String(index) || a === String(index));
        pair.classList.toggle("hit", hit);
        if (!hit) continue;
        joined.add(t).add(a);
        lines[kind].push([t, a]);
      }
      for (const node of nodes) node.classList.toggle("hit", joined.has(node.dataset.i));
      found.replaceChildren();
      if (index === null) return;
      const own = nodes[index];
      title(`${own.dataset.name} (${own.dataset.id})`);
      for (const [kind, list] of Object.entries(lines)) {
        if (!list.length) continue;
        heading(kind === "known" ? "Automated" : "Suggested");
        buttons(list.map(([t, a]) => [t === String(index) ? a : t, `${nodes[t].dataset.name} → ${nodes[a].dataset.name}`]));
      }
      if (!lines.known.length && !lines.suggested.length) heading("Joined with nothing yet");
      const spot = own.transform.baseVal.consolidate().matrix;
      const w = Math.min(box.w, Math.max(600, all.w / 6));
      const h = (w * all.h) / all.w;
      box = { x: spot.e - w / 2, y: spot.f - h / 2, w, h };
      show();
    }
    function title(text) { const p = document.createElement("p"); p.textContent = text; p.className = "path"; found.append(p); }
    function heading(text) { const h = document.createElement("h4"); h.textContent = text; found.append(h); }
    function buttons(entries) {
      const list = document.createElement("ul");
      for (const [index, text] of entries.slice(0, 50)) {
        const item = document.createElement("li"), button = document.createElement("button");
        button.type = "button";
        button.textContent = text;
        button.addEventListener("click", () => pick(Number(index)));
        item.append(button);
        list.append(item);
      }
      found.append(list);
    }
    function look() {
      const wanted = search.value.trim().toLowerCase();
      pick(null);
      if (!wanted) return;
      const hits = nodes.filter((n) => `${n.dataset.name} ${n.dataset.id}`.toLowerCase().includes(wanted));
      heading(hits.length > 50 ? `${hits.length} found, the first 50` : `${hits.length} found`);
      buttons(hits.map((n) => [n.dataset.i, `${n.dataset.name} (${n.dataset.id})`]));
    }

    const touches = new Map();
    let dragged = 0;
    svg.addEventListener("pointerdown", (event) => {
      touches.set(event.pointerId, event);
      dragged = 0;
    });
    svg.addEventListener("pointermove", (event) => {
      const last = touches.get(event.pointerId);
      if (!last) return;
      const others = [...touches.values()].filter((one) => one.pointerId !== event.pointerId);
      if (others.length) {
        const [other] = others;
        const apart = (one) => Math.hypot(one.clientX - other.clientX, one.clientY - other.clientY) || 1;
        const middle = at({ clientX: (event.clientX + other.clientX) / 2, clientY: (event.clientY + other.clientY) / 2 });
        zoom(apart(last) / apart(event), middle.x, middle.y);
      } else {
        const s = scale();
        box.x -= (event.clientX - last.clientX) / s;
        box.y -= (event.clientY - last.clientY) / s;
        show();
      }
      dragged += Math.abs(event.clientX - last.clientX) + Math.abs(event.clientY - last.clientY);
      if (dragged > 4) svg.setPointerCapture(event.pointerId);
      touches.set(event.pointerId, event);
    });
    for (const end of ["pointerup", "pointercancel", "lostpointercapture"]) {
      svg.addEventListener(end, (event) => touches.delete(event.pointerId));
    }
    svg.addEventListener("click", (event) => {
      if (dragged > 4) return;
      const node = event.target.closest(".node");
      pick(node ? Number(node.dataset.i) : null);
    });
    svg.addEventListener("wheel", (event) => {
      if (!event.ctrlKey && document.activeElement !== home.querySelector(".view")) return;
      event.preventDefault();
      const { x, y } = at(event);
      zoom(event.deltaY > 0 ? 1.2 : 1 / 1.2, x, y);
    }, { passive: false });
    home.querySelector(".view").addEventListener("keydown", (event) => {
      const act = {
        ArrowLeft: () => move(-0.1, 0), ArrowRight: () => move(0.1, 0), ArrowUp: () => move(0, -0.1),
        ArrowDown: () => move(0, 0.1), "+": () => zoom(0.8), "=": () => zoom(0.8), "-": () => zoom(1.25), 0: fit,
        Escape: () => pick(null),
      }[event.key];
      if (!act || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      act();
    });
    const does = { in: () => zoom(0.7), out: () => zoom(1 / 0.7), fit: () => { pick(null); search.value = ""; fit(); } };
    for (const button of home.querySelectorAll("button[data-does]")) {
      button.addEventListener("click", does[button.dataset.does]);
    }
    for (const button of home.querySelectorAll("button[data-kind]")) {
      button.addEventListener("click", () => {
        const on = button.getAttribute("aria-pressed") !== "true";
        button.setAttribute("aria-pressed", String(on));
        svg.classList.toggle(`off-${button.dataset.kind}`, !on);
      });
    }
    search.addEventListener("input", look);
    const folded = home.closest("details");
    if (folded) folded.addEventListener("toggle", show);
    addEventListener("resize", show);
    show();
  }
})();

"use strict";
{
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];

  // ---- tables: a heading sorts by its column, a second time the other way round; what has no value comes last
  const valueOf = (row, column) => {
    const cell = row.cells[column];
    if (!("value" in cell.dataset)) return cell.textContent.trim();
    return cell.dataset.value === "" ? null : cell.dataset.value === "inf" ? Infinity : Number(cell.dataset.value);
  };
  const compare = (a, b) => typeof a === "string" ? a.localeCompare(b, undefined, { numeric: true }) : a < b ? -1 : a > b ? 1 : 0;
  for (const table of all("table.sortable")) {
    for (const button of all("thead button", table)) {
      button.addEventListener("click", () => {
        const heading = button.closest("th"), column = heading.cellIndex, body = table.tBodies[0];
        const before = heading.getAttribute("aria-sort");
        const ascending = before ? before === "descending" : !heading.classList.contains("n");
        for (const other of all("th[aria-sort]", table)) other.removeAttribute("aria-sort");
        heading.setAttribute("aria-sort", ascending ? "ascending" : "descending");
        const rows = [...body.rows].map((row) => [valueOf(row, column), row]);
        rows.sort(([a], [b]) => (a === null) - (b === null) || (a === null ? 0 : compare(a, b) * (ascending ? 1 : -1)));
        body.append(...rows.map(([, row]) => row));
      });
    }
  }

  // ---- filters: whatever belongs to a set, a model or an image is shown if all that it belongs to is
  const filters = document.getElementById("filters"), shown = document.getElementById("shown");
  const filter = () => {
    const set = filters.elements.set.value, image = filters.elements.image.value.trim().toLowerCase();
    const models = new Set(all("input[name=model]:checked", filters).map((box) => box.value));
    for (const element of all("[data-set], [data-model], [data-image]")) {
      const own = element.dataset;
      const fits = (!own.set || !set || own.set === set) && (!own.model || models.has(own.model))
        && (own.image === undefined || own.image.toLowerCase().includes(image));
      element.toggleAttribute("hidden", !fits);
    }
    const rows = all("#summary tbody tr"), images = all("#rows tbody tr");
    const count = (list) => list.filter((row) => !row.hidden).length + " of " + list.length;
    shown.textContent = count(rows) + " results, " + count(images) + " images × models";
  };
  filters.addEventListener("input", filter);
  filters.addEventListener("reset", () => setTimeout(filter));
  filters.addEventListener("submit", (event) => event.preventDefault());
  filter();

  // ---- pictures: the slider takes its two pictures from the strip, so each is in the page once
  for (const scene of all(".scene")) {
    const area = scene.querySelector(".compare"), stage = scene.querySelector(".stage");
    const range = area.querySelector("input"), shots = all(".shot", scene);
    const sides = [["left", ".a", ".tag.left"], ["right", ".b", ".tag.right"]];
    const show = ([side, picture, tag]) => {
      const shot = shots[area.querySelector("select." + side).value];
      const name = shot.querySelector(".name").textContent, value = shot.querySelector(".value").textContent;
      const image = stage.querySelector(picture);
      image.src = shot.querySelector("image").getAttribute("href");
      image.alt = side + ": " + name;
      stage.querySelector(tag).textContent = value + " · " + name;
    };
    const cut = (percent) => stage.style.setProperty("--cut", percent + "%");
    const first = shots.findIndex((shot) => shot.dataset.model), models = shots.filter((shot) => shot.dataset.model);
    const best = models.slice(1).reduce((best, shot) =>
      parseFloat(shot.querySelector(".value").textContent) > parseFloat(best.querySelector(".value").textContent) ? shot : best, models[1] || shots.at(-1));
    area.querySelector("select.left").value = Math.max(first, 0);
    area.querySelector("select.right").value = shots.indexOf(best);
    stage.style.aspectRatio = area.dataset.width + " / " + area.dataset.height;
    for (const side of sides) {
      show(side);
      area.querySelector("select." + side[0]).addEventListener("input", () => show(side));
    }
    range.addEventListener("input", () => cut(range.value));
    const drag = (event) => {
      if (event.type === "pointermove" && !event.buttons) return;
      const box = stage.getBoundingClientRect();
      range.value = Math.round((event.clientX - box.left) / box.width * 100);
      cut(range.value);
    };
    stage.addEventListener("pointerdown", drag);
    stage.addEventListener("pointermove", drag);
  }
  const views = document.getElementById("views");
  if (views) {
    const look = () => {
      document.body.classList.toggle("no-errors", !views.elements.errors.checked);
      for (const strip of all(".strip")) {
        for (const svg of all(".picture svg, .errors svg", strip)) svg.setAttribute("viewBox", strip.dataset[views.elements.part.value]);
      }
    };
    views.addEventListener("input", look);
    look();
  }
}

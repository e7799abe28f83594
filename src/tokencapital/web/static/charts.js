"use strict";
// Charts are drawn beside a table with the same numbers. The interpreter needs no `eval`, which the page forbids.
document.addEventListener("DOMContentLoaded", () => {
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const charts = [];

  function themed(chart) {
    const style = getComputedStyle(document.body);
    const ink = style.color;
    const line = dark.matches ? "#353b42" : "#dcded8";
    const accent = dark.matches ? "#7cc6e4" : "#0b5a78";
    const axis = {labelColor: ink, titleColor: ink, gridColor: line, domainColor: line, tickColor: line};
    const font = style.fontFamily;
    const config = {
      ...chart.config, font, axis, view: {stroke: null}, legend: {labelColor: ink, titleColor: ink},
      mark: {color: accent}, rule: {color: accent}, point: {color: accent}, line: {color: accent},
      range: {category: dark.matches ? ["#86d29f", "#7cc6e4", "#e3bf6d", "#ffb08a"] : ["#1d6a3a", "#0b5a78", "#8a6512", "#8c2f0d"]},
    };
    return {...chart, config};
  }

  function draw({place, chart}) {
    return window.vegaEmbed(place, themed(chart), {actions: false, ast: true, renderer: "svg"});
  }

  for (const place of document.querySelectorAll("[data-chart]")) {
    fetch(place.dataset.chart)
      .then((response) => response.json())
      .then((chart) => {
        charts.push({place, chart});
        return draw({place, chart});
      });
  }
  dark.addEventListener("change", () => charts.forEach(draw));
});

// Before anything is drawn: the scheme chosen last, so that a dark page does not flash in light.
(function () {
  var chosen = "auto";
  try { chosen = localStorage.getItem("mantine-color-scheme-value") || "auto"; } catch (error) { /* not allowed */ }
  var isDark = chosen === "dark" || (chosen === "auto" && matchMedia("(prefers-color-scheme: dark)").matches);
  document.documentElement.setAttribute("data-mantine-color-scheme", isDark ? "dark" : "light");
})();

// What happens in the browser alone. Nothing here decides or computes a figure.
(function () {
  "use strict";
  var keep = window.recommender.keep, follow = window.recommender.follow;

  // dcc.Upload leaves its input without a name.
  new MutationObserver(function () {
    document.querySelectorAll(".drop input:not([aria-label])").forEach(function (file) {
      file.setAttribute("aria-label", file.closest(".drop").textContent || "file");
    });
  }).observe(document.documentElement, { childList: true, subtree: true });

  // On paper nothing can be opened.
  var closed = [];
  window.addEventListener("beforeprint", function () {
    closed = Array.from(document.querySelectorAll("#page .section details:not([open])"));
    closed.forEach(function (each) { each.open = true; });
  });
  window.addEventListener("afterprint", function () {
    closed.forEach(function (each) { each.open = false; });
  });

  var run_of = function (question) { return "/runs/" + encodeURIComponent(question[0]); };
  window.dash_clientside.recommender = {
    announce: function (title) {
      if (title) { document.title = title; }
      return title || "";
    },
    open_side: function (opened, path, navbar) {
      var turned = window.dash_clientside.callback_context.triggered_id === "burger";
      var shown = turned && opened;
      return [Object.assign({}, navbar, { collapsed: { mobile: !shown } }), shown];
    },
    pick: function (clicked) {
      var point = clicked && clicked.points && clicked.points[0];
      if (!point || point.customdata === undefined) { return [keep(), keep()]; }
      var id = String(point.customdata);
      document.getElementById("ranked").scrollIntoView({ block: "center" });
      return [{ ids: [id] }, { rowId: id, rowPosition: "middle" }];
    },
    search: function (text) {
      var grid = window.recommender.grid("ranked");
      if (grid) { grid.setGridOption("quickFilterText", text || ""); }
      return keep();
    },
    ways: function (chosen) {
      var grid = window.recommender.grid("ranked");
      if (!grid) { return keep(); }
      var conditions = chosen.map(function (name) {
        return { filterType: "text", type: "equals", filter: name };
      });
      var none = { filterType: "text", type: "equals", filter: "-" };
      var model = conditions.length > 1
        ? { filterType: "text", operator: "OR", conditions: conditions }
        : conditions[0] || none;
      grid.setColumnFilterModel("group", model).then(function () { grid.onFilterChanged(); });
      return keep();
    },
    columns: function (chosen) {
      var grid = window.recommender.grid("ranked");
      if (!grid) { return keep(); }
      var names = grid.getColumns().map(function (column) { return column.getColId(); });
      var isChosen = function (name) { return chosen.indexOf(name) >= 0; };
      grid.setColumnsVisible(names.filter(isChosen), true);
      grid.setColumnsVisible(names.filter(function (name) { return !isChosen(name); }), false);
      return keep();
    },
    as_csv: function (clicks) { return Boolean(clicks); },
    follow: function (question) {
      var path = run_of(question);
      var query = question[1] ? "?" + question[1] : "";
      return [follow(path + "/what-if", question[1]), path + "/export" + query, path + "/scaling" + query];
    },
    follow_fleet: function (question) { return follow(run_of(question) + "/scaling", question[1]); },
  };
})();

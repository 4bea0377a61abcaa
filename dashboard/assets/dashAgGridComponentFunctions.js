// Cells of the ranked table. Text alone is put into them: nothing from data becomes markup.
(function () {
  "use strict";
  var cells = window.dashAgGridComponentFunctions = window.dashAgGridComponentFunctions || {};
  var make = function () { return React.createElement.apply(React, arguments); };

  cells.Interval = function (props) {
    var row = props.data || {};
    return make("div", { className: "two-lines" },
      make("span", null, row[props.text]),
      make("span", { className: "interval" }, row[props.under]));
  };
  cells.Option = function (props) {
    var row = props.data || {};
    var star = row.is_on_frontier
      ? make("span", { className: "star", title: "on the frontier: nothing is both cheaper and faster" }, " ★")
      : null;
    return make("span", { title: row.notes || undefined },
      make("span", { className: "swatch way-mark", style: { backgroundColor: row.color } }),
      row.option, star);
  };
  cells.Group = function (props) {
    var row = props.data || {};
    return make("span", null,
      make("span", { className: "swatch", style: { backgroundColor: row.color } }), row.group);
  };
})();

// Headings in a file, where figures stand without their units; and the ranked table on a phone.
(function () {
  "use strict";
  var functions = window.dashAgGridFunctions = window.dashAgGridFunctions || {};
  functions.csvHeading = function (params) {
    var column = params.column.getColDef();
    var unit = column.context && column.context.unit;
    return unit ? column.headerName + ", " + unit : column.headerName;
  };
  // What a phone has room for. The others are a tick away, in the choice of columns.
  functions.narrow = function (params) {
    if (!window.matchMedia("(max-width: 560px)").matches) { return; }
    var widths = { option: 144, month_usd: 92, latency_ms: 104 };
    var names = Object.keys(widths);
    var others = params.api.getColumns().map(function (column) { return column.getColId(); })
      .filter(function (name) { return names.indexOf(name) < 0; });
    params.api.setColumnsVisible(others, false);
    window.dash_clientside.set_props("ranked-columns", { value: names });
    params.api.setColumnWidths(names.map(function (name) {
      return { key: name, newWidth: widths[name] };
    }));
  };
})();

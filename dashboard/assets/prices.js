// The tables of prices. Figures come from the server; here they are only spelled.
(function () {
  "use strict";
  var cells = window.dashAgGridComponentFunctions = window.dashAgGridComponentFunctions || {};
  var functions = window.dashAgGridFunctions = window.dashAgGridFunctions || {};
  var make = function () { return React.createElement.apply(React, arguments); };

  var UNITS = { hour: "an hour", second: "a second", "LCU-hour": "an LCU-hour" };
  var dollars = function (value, options) { return "$" + value.toLocaleString("en", options); };
  var in_full = { maximumFractionDigits: 12 };
  var lines = function (first, second, name) {
    return make("div", { className: "two-lines " + (name || "") },
      make("span", null, first), make("span", { className: "interval" }, second));
  };
  var mark = function (basis) { return basis === "derived" ? "~" : ""; };

  cells.PriceUsd = function (props) {
    var row = props.data || {}, value = props.value;
    if (value === null || value === undefined) { return make("span", { className: "none" }, "–"); }
    var basis = props.basis ? row[props.basis] : row.basis;
    return lines(mark(basis) + dollars(value, in_full), UNITS[row.unit] || "a " + row.unit,
      basis === "derived" ? "derived" : "");
  };
  cells.PriceBought = function (props) {
    var row = props.data || {};
    return lines(row.bought, row.region);
  };
  cells.PriceSeen = function (props) {
    var row = props.data || {};
    var said = String(row.age || "").split(", ");
    var old = said[1] ? make("span", { className: "old" }, said[1]) : null;
    return lines(row.seen, make(React.Fragment, null, said[0], old));
  };
  cells.PriceBasis = function (props) {
    var row = props.data || {};
    return lines(mark(row.basis) + (row.basis || ""), row.trust, row.basis === "derived" ? "derived" : "");
  };
  functions.perUnit = function (params) {
    if (params.value === null || params.value === undefined) { return "–"; }
    return mark(params.data.basis) + dollars(params.value, { maximumSignificantDigits: 3 });
  };
  functions.perMonth = function (params) {
    if (params.value === null || params.value === undefined) { return "–"; }
    var cents = params.value < 100 ? 2 : 0;
    return mark(params.data.basis) + dollars(params.value, { minimumFractionDigits: cents, maximumFractionDigits: cents });
  };
  functions.share = function (params) {
    return params.value === null || params.value === undefined ? "–" : Math.round(params.value * 100) + "%";
  };
  functions.known = function (params) {
    return params.value === null || params.value === undefined ? "–" : String(params.value);
  };
  functions.change = function (params) {
    if (params.value === null || params.value === undefined) { return params.data.state; }
    return (params.value > 0 ? "▲ +" : "▼ −") + Math.abs(params.value).toLocaleString("en", { maximumSignificantDigits: 3 }) + "%";
  };

  // A column came as its different values and, for each row, a place among them.
  var unpacked = function (columns) {
    var names = Object.keys(columns || {});
    if (!names.length) { return []; }
    var first = columns[names[0]];
    var rows = [];
    for (var at = 0; at < (first.all || first.at).length; at += 1) { rows.push({}); }
    names.forEach(function (name) {
      var column = columns[name];
      rows.forEach(function (row, at) {
        row[name] = column.all ? column.all[at] : column.of[column.at[at]];
      });
    });
    return rows;
  };

  window.dash_clientside.prices = {
    show: function (columns) { return unpacked(columns); },
    deselect: function (opened) {
      var grid = window.recommender.grid("prices-grid");
      if (grid && !opened) { grid.deselectAll(); }
      return window.recommender.keep();
    },
    follow: function (asked, row, tab, moves) {
      var parts = [asked, row, moves].filter(Boolean);
      if (tab !== "explore") { parts.unshift("tab=" + tab); }
      return [
        window.recommender.follow("/prices", parts.join("&")),
        "/prices/prices.csv" + (asked ? "?" + asked : ""),
      ];
    },
  };
})();

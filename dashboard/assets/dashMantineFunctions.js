// Labels of the traffic slider: its scale is logarithmic, its words are requests a second.
(function () {
  "use strict";
  var labels = window.dashMantineFunctions = window.dashMantineFunctions || {};
  labels.rate = function (decades) {
    var rate = Math.pow(10, decades);
    return Number(rate.toPrecision(2)).toLocaleString("en", { maximumFractionDigits: 3 }) + " req/s";
  };
  labels.percent = function (value) { return value + "%"; };
})();

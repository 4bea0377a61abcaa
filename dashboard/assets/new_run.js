// The form of a new run, as far as it is the browser's alone.
(function () {
  "use strict";
  var keep = window.recommender.keep;
  var MOST = 3900000; // letters of one request, of which the server takes 4 MiB

  window.dash_clientside.new_run = {
    send: function (contents, names) {
      if (!contents) { return [keep(), keep()]; }
      var letters = contents.reduce(function (sum, each) { return sum + each.length; }, 0);
      if (letters > MOST) {
        var least = (letters * 0.75 / 1048576).toFixed(1);
        return [keep(), "These hold " + least + " MiB; 2.7 MiB can be uploaded at once. "
          + "Upload them one after the other, or name larger ones by their path on this machine."];
      }
      return [contents.map(function (each, at) { return [names[at], each]; }), ""];
    },
    // Of a run that is gone there is no page.
    leave: function (done) {
      var isItsPage = window.location.pathname.indexOf("/runs/") === 0;
      if (done === "delete" && isItsPage) { window.location.assign("/runs"); }
      return keep();
    },
    // A plan is too long for an address: of a load test it says only which run the plan is of,
    // if of any.
    follow: function (query, kind) {
      var asked = window.location.search.slice(1);
      var plan = asked.indexOf("from=") === 0 ? asked : "tab=loadtest";
      return window.recommender.follow("/new", kind === "loadtest" ? plan : query);
    },
  };
})();

// The form of a new run, as far as it is the browser's alone.
(function () {
  "use strict";
  var keep = function () { return window.dash_clientside.no_update; };
  var MOST = 3900000; // letters of one request, of which the server takes 4 MiB

  window.dash_clientside = window.dash_clientside || {};
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
    // The address follows the form, so that it can be copied; nothing is loaded anew. A plan is
    // too long for one: of a load test it says only which run the plan is of, if of any.
    follow: function (query, kind) {
      var here = window.location;
      var search = query ? "?" + query : "";
      if (kind === "loadtest") {
        search = here.search.indexOf("?from=") === 0 ? here.search : "?tab=loadtest";
      }
      if (here.pathname === "/new" && here.search !== search) {
        window.history.replaceState(window.history.state, "", "/new" + search);
      }
      return here.origin + "/new" + search;
    },
  };
})();

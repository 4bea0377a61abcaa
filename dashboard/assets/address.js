// What the scripts of several pages have in common; Dash loads them by name, this one first.
(function () {
  "use strict";
  window.dash_clientside = window.dash_clientside || {};
  window.recommender = {
    // What a callback answers that changes nothing; Dash itself comes after these scripts.
    keep: function () { return window.dash_clientside.no_update; },
    grid: function (id) { return window.dash_ag_grid && dash_ag_grid.getApi(id); },
    // The address follows what is asked, so that it can be copied; nothing is loaded anew. When
    // another page is shown by now, its address stays. Answers the address in full.
    follow: function (path, query) {
      var search = query ? "?" + query : "";
      if (window.location.pathname === path && window.location.search !== search) {
        window.history.replaceState(window.history.state, "", path + search);
      }
      return window.location.origin + path + search;
    },
  };
})();

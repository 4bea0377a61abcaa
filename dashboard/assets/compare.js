// The address of a comparison follows what was picked, so that it can be copied.
(function () {
  "use strict";
  window.dash_clientside = window.dash_clientside || {};
  window.dash_clientside.comparing = {
    follow: function (query) {
      var search = query ? "?" + query : "";
      if (window.location.pathname === "/compare" && window.location.search !== search) {
        window.history.replaceState(window.history.state, "", "/compare" + search);
      }
      return window.location.origin + "/compare" + search;
    },
  };
})();

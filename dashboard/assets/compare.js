// The address of a comparison follows what was picked.
(function () {
  "use strict";
  window.dash_clientside.comparing = {
    follow: function (query) { return window.recommender.follow("/compare", query); },
  };
})();

// What a page of a run does in the browser alone. Nothing here decides or computes a figure.
(function () {
  "use strict";
  var keep = window.recommender.keep;
  var values = function (options) {
    return options.reduce(function (found, group) {
      return found.concat(group.items.map(function (each) { return each.value; }));
    }, []);
  };

  window.dash_clientside.live = {
    // A row that was clicked; or the first run there is, once there is one.
    look_at: function (clicks, options, chosen) {
      var context = window.dash_clientside.callback_context;
      var clicked = context.triggered.some(function (each) {  // rows that are new were not
        return each.value && each.prop_id.indexOf('"look-at"') >= 0;
      });
      if (clicked) {
        document.getElementById("look").scrollIntoView({ block: "start" });
        return chosen.map(function () { return context.triggered_id.key; });
      }
      if (chosen.length && !chosen[0] && options[0] && options[0].length) {
        return [values(options[0])[0]];
      }
      return chosen.map(keep);
    },
    // The address follows the choice, so that it can be copied; nothing is loaded anew.
    follow: function (chosen, classes) {
      if (chosen.length && chosen[0]) {
        var asked = new URLSearchParams(window.location.search);
        asked.set("run", chosen[0]);
        var next = window.location.pathname + "?" + asked + window.location.hash;
        window.history.replaceState(window.history.state, "", next);
      }
      return classes.map(keep);
    },
  };
})();

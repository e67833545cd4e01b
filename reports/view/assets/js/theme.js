// Runs before the first paint, as a classic script: what was chosen is there from the beginning.
(function () {
  let theme = "auto";
  try {
    theme = JSON.parse(localStorage.getItem("telerig.settings") || "{}").theme || "auto";
  } catch {
    // No storage, or something foreign in it: the system's choice it is.
  }
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
})();

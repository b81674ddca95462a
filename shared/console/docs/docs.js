"use strict";
// Swagger UI calls the API with the session of the Console (a cookie that no script can read), or with the token of
// Authorize, which it keeps no longer than the page is open.
(function () {
	const dark = matchMedia("(prefers-color-scheme: dark)");
	const theme = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
	dark.addEventListener("change", theme);
	theme();

	const title = document.getElementById("who");
	fetch("/v1/session", { cache: "no-store" })
		.then(async (r) => {
			if (!r.ok) return;
			const who = await r.json();
			title.textContent = `Signed in as ${who.name || who.email} (${who.role}) of tenant ${who.tenant}.`;
		})
		.catch(() => {});

	// What Swagger UI leaves out for who does not see the page: names of its parts, and a level of its headings.
	const ui = document.getElementById("ui");
	const parts = { ".information-container": "About", ".schemes-server-container": "Access", ".filter": "Filter" };
	new MutationObserver(() => {
		ui.querySelector("#servers:not([aria-label])")?.setAttribute("aria-label", "Server");
		for (const h of ui.querySelectorAll(":is(h3.opblock-tag, .models h4):not([aria-level])"))
			h.setAttribute("aria-level", "2");
		for (const [part, name] of Object.entries(parts)) {
			const e = ui.querySelector(`${part}:not([role])`);
			e?.setAttribute("role", "region");
			e?.setAttribute("aria-label", name);
		}
	}).observe(ui, { childList: true, subtree: true });

	window.SwaggerUIBundle({
		url: "/openapi.json",
		dom_id: "#ui",
		deepLinking: true,
		docExpansion: "none",
		filter: true,
		defaultModelsExpandDepth: 0,
		displayRequestDuration: true,
		persistAuthorization: false,
		validatorUrl: null, // it would ask another host
	});
})();

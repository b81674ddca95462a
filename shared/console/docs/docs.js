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

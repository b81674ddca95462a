// Search over the whole site, from a file. The index is a script that is loaded when somebody searches: pages that are
// opened from a disk can load nothing else.
(() => {
	const root = document.currentScript.dataset.root;
	const field = document.getElementById("site-search");
	const found = document.getElementById("site-found");
	const most = 12;
	let loading;
	let look;

	const load = () =>
		(loading ??= new Promise((resolve, reject) => {
			const script = document.createElement("script");
			script.src = root + "index.js";
			script.onload = () => {
				look = window.siteLook(window.siteIndex);
				resolve();
			};
			script.onerror = () => reject(new Error("index.js can not be read"));
			document.head.append(script);
		}));

	const line = (tag, text) => Object.assign(document.createElement(tag), { textContent: text });

	const show = (text) => {
		const hits = look(text, most);
		found.replaceChildren();
		if (hits.length === 0) {
			found.append(line("p", "Nothing is found. Try fewer words."));
		} else {
			const list = document.createElement("ol");
			for (const entry of hits) {
				const item = document.createElement("li");
				const link = line("a", entry.title);
				link.href = root + entry.url;
				item.append(link, line("small", entry.page + (entry.text ? ": " + entry.text.slice(0, 160) : "")));
				list.append(item);
			}
			found.append(list);
		}
		found.hidden = false;
	};

	const search = async () => {
		const text = field.value.trim();
		if (text === "") {
			found.hidden = true;
			return;
		}
		try {
			await load();
		} catch (error) {
			found.replaceChildren(line("p", error.message));
			found.hidden = false;
			return;
		}
		if (field.value.trim() === text) show(text);
	};

	field.addEventListener("input", search);
	field.addEventListener("focus", () => load().catch(() => {}), { once: true });
	document.addEventListener("keydown", (event) => {
		if (event.key === "Escape") {
			field.value = "";
			found.hidden = true;
		}
		if (event.key === "/" && !/^(INPUT|TEXTAREA|SELECT)$/.test(document.activeElement.tagName)) {
			event.preventDefault();
			field.focus();
		}
	});
})();

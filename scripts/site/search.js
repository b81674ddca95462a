// Search over the whole site, from a file. The index is a script that is loaded when somebody searches: pages that are
// opened from a disk can load nothing else.
(() => {
	const root = document.currentScript.dataset.root;
	const field = document.getElementById("site-search");
	const found = document.getElementById("site-found");
	const most = 12;
	let loading;
	let entries;
	const places = new Map(); // of a word: the entries that have it

	const words = (text) => text.toLowerCase().match(/[\p{L}\p{N}_]+/gu) ?? [];

	const load = () =>
		(loading ??= new Promise((resolve, reject) => {
			const script = document.createElement("script");
			script.src = root + "index.js";
			script.onload = () => {
				entries = window.siteIndex;
				entries.forEach((entry, n) => {
					for (const word of new Set(words(entry.t + " " + entry.x))) {
						if (!places.has(word)) places.set(word, []);
						places.get(word).push(n);
					}
				});
				resolve();
			};
			script.onerror = () => reject(new Error("index.js can not be read"));
			document.head.append(script);
		}));

	// What few entries have counts most: an error holds names and numbers that no page has, and is found by the rest.
	const look = (text) => {
		const asked = [...new Set(words(text))];
		const scores = new Map();
		asked.forEach((word, at) => {
			const hits = new Map((places.get(word) ?? []).map((n) => [n, 1]));
			if (at === asked.length - 1 && word.length > 2) {
				for (const [other, all] of places) {
					if (other !== word && other.startsWith(word)) {
						for (const n of all) if (!hits.has(n)) hits.set(n, 0.5);
					}
				}
			}
			const weight = Math.log(1 + entries.length / (1 + hits.size));
			for (const [n, share] of hits) scores.set(n, (scores.get(n) ?? 0) + weight * share);
		});
		for (const [n, score] of scores) {
			const { t, x } = entries[n];
			const titled = asked.filter((word) => words(t).includes(word)).length;
			const length = words(x).length;
			scores.set(n, score * (1 + 0.3 * (titled / asked.length)) - Math.log(20 + length) / 4);
		}
		return [...scores].sort((a, b) => b[1] - a[1] || a[0] - b[0]).slice(0, most);
	};

	const line = (tag, text) => Object.assign(document.createElement(tag), { textContent: text });

	const show = (text) => {
		const hits = look(text);
		found.replaceChildren();
		if (hits.length === 0) {
			found.append(line("p", "Nothing is found. Try fewer words."));
		} else {
			const list = document.createElement("ol");
			for (const [n] of hits) {
				const entry = entries[n];
				const item = document.createElement("li");
				const link = line("a", entry.t);
				link.href = root + entry.u;
				item.append(link, line("small", entry.p + (entry.x ? ": " + entry.x.slice(0, 160) : "")));
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

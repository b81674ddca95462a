// What the search finds, without a page around it: window.siteLook makes the function that looks a text up in an index.
(() => {
	// Japanese is written without spaces: each pair of letters that follow each other is a word.
	const runs =
		/[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}ー々]+|[^\P{L}\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}ー々]+|[\p{N}_]+/gu;
	const japanese = /^[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}ー々]/u;
	const words = (text) => {
		const all = [];
		let end = -1;
		for (const { 0: run, index } of text.toLowerCase().matchAll(runs)) {
			if (japanese.test(run)) {
				const letters = [...run];
				if (letters.length === 1) all.push(run);
				for (let n = 1; n < letters.length; n++) all.push(letters[n - 1] + letters[n]);
			} else if (index === end && all.length > 0 && !japanese.test(all.at(-1))) {
				all[all.length - 1] += run; // letters and digits in a row are one word
			} else {
				all.push(run);
			}
			end = index + run.length;
		}
		return all;
	};

	// The fixed parts of a sentence, between its …. A word that touches a … is one with what is filled in there.
	const parts = (title) => {
		const all = title.split("…");
		return all
			.map((part, n) => {
				const of = words(part);
				const touches = (at) => at !== undefined && !(japanese.test(at) && [...at].length === 2);
				if (n < all.length - 1 && /[\p{L}\p{N}_]$/u.test(part) && touches(of.at(-1))) of.pop();
				if (n > 0 && /^[\p{L}\p{N}_]/u.test(part) && touches(of[0])) of.shift();
				return of;
			})
			.filter((part) => part.length > 0);
	};

	// holds reports whether words have the parts one after the other, each without a gap.
	const holds = (all, fixed) => {
		let from = 0;
		return fixed.every((part) => {
			for (; from + part.length <= all.length; from++) {
				if (part.every((word, n) => all[from + n] === word)) {
					from += part.length;
					return true;
				}
			}
			return false;
		});
	};

	const read = (index) =>
		index.flatMap(({ p, u, s, e }) =>
			e.map(([place, title, text = ""]) => {
				const fixed = s ? parts(title) : [];
				return {
					url: place ? u + "#" + place : u,
					page: p,
					title,
					text,
					said: s === true,
					titled: new Set(words(title)),
					length: words(text).length,
					fixed,
					own: new Set(fixed.flat()).size,
				};
			}),
		);

	// A sentence has to have this many words of its own to be recognised within what is asked.
	const least = 2;

	window.siteLook = (index) => {
		const entries = read(index);
		const places = new Map(); // of a word: the entries that have it, and which of them in their title
		entries.forEach((entry, n) => {
			for (const word of new Set([...entry.titled, ...words(entry.text)])) {
				if (!places.has(word)) places.set(word, []);
				places.get(word).push([n, entry.titled.has(word)]);
			}
		});
		const weight = (hits) => Math.log(1 + entries.length / (1 + hits));

		// What is found for what is asked, and how much speaks for each. What few entries have counts most: an error holds
		// names and numbers that no page has, and is found by the rest.
		const score = (asked) => {
			const sums = new Map();
			asked.forEach((word, at) => {
				const hits = new Map((places.get(word) ?? []).map(([n, titled]) => [n, [1, titled]]));
				if (at === asked.length - 1 && (word.length > 2 || (word.length === 1 && japanese.test(word)))) {
					for (const [other, all] of places) {
						if (other !== word && other.startsWith(word)) {
							for (const [n] of all) if (!hits.has(n)) hits.set(n, [0.5, false]);
						}
					}
				}
				const counts = weight(hits.size);
				for (const [n, [share, titled]] of hits) {
					if (!sums.has(n)) sums.set(n, [0, 0]);
					const of = sums.get(n);
					of[0] += counts * share;
					if (titled) of[1]++;
				}
			});
			return [...sums].map(([n, [sum, titled]]) => ({
				entry: entries[n],
				n,
				titled,
				sum: (sum * (1 + (0.3 * titled) / asked.length)) / (1 + 0.15 * Math.log2(1 + entries[n].length / 20)),
			}));
		};

		// recognised is how much of what is asked a sentence of the product is, with what was filled in: 0 where it is not.
		const recognised = (all, { fixed }) => {
			const own = fixed.flat();
			if (own.length < least || !holds(all, fixed)) return 0;
			return own.reduce((sum, word) => sum + weight((places.get(word) ?? []).length), 0);
		};

		// Sentences leave a third of the places to pages, and each stands there once, however often it is said.
		return (text, most) => {
			const all = words(text);
			const found = score([...new Set(all)]);
			for (const of of found) of.is = of.titled >= of.entry.own ? recognised(all, of.entry) : 0;
			found.sort((a, b) => b.is - a.is || b.sum - a.sum || a.n - b.n);
			const told = new Set();
			const once = ({ said, title }) => {
				const words = title.toLowerCase();
				return !said || (!told.has(words) && told.add(words));
			};
			const different = found.map(({ entry }) => entry).filter(once);
			const pages = different.filter(({ said }) => !said).length;
			let left = most - Math.min(pages, Math.floor(most / 3));
			return different.filter(({ said }) => !said || left-- > 0).slice(0, most);
		};
	};
})();

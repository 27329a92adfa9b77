const tip = document.getElementById('tip');
for (const plot of document.querySelectorAll('svg[data-hover]')) {
  const points = plot.dataset.hover.split('|').map(point => {
    const cut = point.indexOf('=');
    return [Number(point.slice(0, cut)), point.slice(cut + 1)];
  });
  const cursor = plot.querySelector('.cursor');
  plot.addEventListener('pointermove', event => {
    const box = plot.getBoundingClientRect();
    const x = (event.clientX - box.left) * plot.viewBox.baseVal.width / box.width;
    const near = points.reduce((best, point) => Math.abs(point[0] - x) < Math.abs(best[0] - x) ? point : best);
    cursor.setAttribute('x1', near[0]);
    cursor.setAttribute('x2', near[0]);
    tip.textContent = near[1];
    tip.style.display = 'block';
    const left = Math.min(event.clientX + 14, document.documentElement.clientWidth - tip.offsetWidth - 8);
    tip.style.left = left + 'px';
    tip.style.top = event.clientY + 16 + 'px';
  });
  plot.addEventListener('pointerleave', () => {
    tip.style.display = 'none';
    cursor.setAttribute('x1', -9);
    cursor.setAttribute('x2', -9);
  });
}

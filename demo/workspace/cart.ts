// A shopping cart and what it costs.

export interface Product {
  id: string;
  name: string;
  price: number;
}

export interface Line {
  product: Product;
  count: number;
}

export class Cart {
  private lines: Line[] = [];

  add(product: Product, count = 1): void {
    const line = this.lines.find((line) => line.product.id === product.id);
    if (line) {
      line.count += count;
    } else {
      this.lines.push({ product, count });
    }
  }

  remove(product: Product): void {
    this.lines = this.lines.filter((line) => line.product.id !== product.id);
  }

  total(): number {
    return this.lines.reduce((sum, line) => sum + line.product.price * line.count, 0);
  }

  isEmpty(): boolean {
    return this.lines.length === 0;
  }
}

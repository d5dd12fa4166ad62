"""Section 5.4.1: the price of two apples, and how it depends on everything."""

from cnn_core.book.layer_naive import *

apple, apple_num, tax = 100, 2, 1.1

mul_apple_layer = MulLayer()
mul_tax_layer = MulLayer()

apple_price = mul_apple_layer.forward(apple, apple_num)
price = mul_tax_layer.forward(apple_price, tax)

dapple_price, dtax = mul_tax_layer.backward(1)
dapple, dapple_num = mul_apple_layer.backward(dapple_price)

print("price:", int(price))  # 220
print(f"dApple: {dapple:.1f}, dApple_num: {dapple_num:.0f}, dTax: {dtax}")  # 2.2, 110, 200
